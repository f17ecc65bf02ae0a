package queue

import (
	"fmt"
	"strconv"
	"time"
)

// bounds gives the start and the end of the period that a time lies in, in UTC; 0, 0 for
// PeriodTotal.
func (p Period) bounds(at Instant) (start, end Instant) {
	hour := Instant(time.Hour / time.Microsecond)
	switch p {
	case PeriodHour:
		start = at - at%hour
		return start, start + hour
	case PeriodDay:
		start = at - at%(24*hour)
		return start, start + 24*hour
	case PeriodMonth:
		t := time.UnixMicro(int64(at)).UTC()
		first := time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
		return Instant(first.UnixMicro()), Instant(first.AddDate(0, 1, 0).UnixMicro())
	}
	return 0, 0
}

// roll begins the period that the present time lies in. What is reserved for attempts of an
// earlier one does not count in it.
func (m *Machine) roll(l *line) {
	if l.ends == 0 || m.now < l.ends {
		return
	}
	l.spend, l.reserved = PeriodSpend{}, 0
	l.spend.Period, l.ends = l.settings.Budget.Period.bounds(m.now)
}

// resume takes up the period of a queue after a restart or a change of its budget, from what
// is settled in the one that it was in and from the leases that are live.
func (m *Machine) resume(l *line) {
	start, end := l.settings.Budget.Period.bounds(m.now)
	if start != l.spend.Period {
		l.spend = PeriodSpend{Period: start}
		if start == 0 {
			l.spend.Settled = l.rows.total.spent
		}
	}
	l.ends, l.reserved = end, 0
}

// rereserve counts what live leases have reserved, of one queue, or of all for nil.
func (m *Machine) rereserve(only *line) {
	for n := uint32(1); n <= m.leases.next; n++ {
		if ls := m.leases.at(n); ls.live {
			if l := m.lineOf(m.tasks.at(ls.task)); (only == nil || l == only) && ls.start >= l.spend.Period {
				l.reserved += ls.reserved
			}
		}
	}
}

// reserve sets aside what an attempt may cost, in the change that grants it (B2).
func (m *Machine) reserve(l *line, ls *lease) {
	m.roll(l)
	l.reserved += ls.reserved
}

// fits tells whether the first task of a lane may be granted within the budget (B1).
func (m *Machine) fits(ln *lane) bool {
	l := ln.class.line
	if !l.settings.Budget.Set {
		return true
	}
	cost := m.terms.at(m.tasks.at(ln.rank.item.handle).terms).maxCost
	return l.spend.Settled+l.reserved+cost <= l.settings.Budget.Limit
}

// affords is fits for who would grant; a task that does not fit is looked at again in the next period.
// It need not be the first of its queue: that may be one for other agents, and fit.
func (m *Machine) affords(ln *lane) bool {
	ok := m.fits(ln)
	if !ok {
		m.wakeAtRoll(ln.class.line)
	}
	return ok
}

// checkBudgets refuses new tasks that could never be granted: they would hold their queue.
func (m *Machine) checkBudgets(tasks []Spec, existed []bool) error {
	for i := range tasks {
		if existed[i] || tasks[i].MaxCost == 0 {
			continue
		}
		if l := m.lineByName[tasks[i].Queue]; l != nil && l.settings.Budget.Below(tasks[i].MaxCost) {
			return &Error{
				Reason: BudgetTooLarge, Names: []string{l.name}, Field: fmt.Sprintf("tasks[%d].budget.max_usd", i),
				Detail: fmt.Sprintf("is %s, and the whole budget of the queue is %s; lower it, or raise the queue's limit",
					tasks[i].MaxCost.USD(), l.settings.Budget.Limit.USD()),
			}
		}
	}
	return nil
}

// checkBudget is checkBudgets for a new run of a task.
func (m *Machine) checkBudget(s *Spec) error {
	l := m.lineByName[s.Queue]
	if l == nil || !l.settings.Budget.Below(s.MaxCost) {
		return nil
	}
	return &Error{
		Reason: BudgetTooLarge, Names: []string{l.name},
		Detail: fmt.Sprintf("its max_usd is %s, and the whole budget of the queue is %s; raise the queue's limit, or submit a new task",
			s.MaxCost.USD(), l.settings.Budget.Limit.USD()),
	}
}

// USD shows an amount.
func (c Micros) USD() string { return strconv.FormatFloat(float64(c)/1e6, 'f', -1, 64) + " USD" }

// headFits is fits for the first task of a queue that any agent can run: one that does not fit
// holds its queue, so that cheaper tasks don't starve it.
func (m *Machine) headFits(l *line) bool {
	m.roll(l)
	var least *lane
	for _, c := range l.classes {
		if c.runners == 0 {
			continue
		}
		if ln := m.front(c); ln != nil && (least == nil || ln.rank.less(&least.rank)) {
			least = ln
		}
	}
	return least == nil || m.fits(least)
}

// settlesFree are the classes of failures that cost nothing unless the report says otherwise;
// all others, and a success, cost what was reserved.
var settlesFree = map[Class]bool{
	ClassConnect: true, ClassRateLimited: true, ClassOverloaded: true,
	ClassAuth: true, ClassOutOfCredit: true, ClassInvalidRequest: true,
}

// costs is what an attempt settles at by its report.
func (r *Report) costs(reserved Micros) Micros {
	cost, stated := r.stated()
	switch {
	case stated:
		return cost
	case !r.Success && settlesFree[r.Failure.Class]:
		return 0
	}
	return reserved
}

// stated is the cost that a report states.
func (r *Report) stated() (Micros, bool) {
	if r.Success {
		return r.Cost, r.HasCost
	}
	return r.Failure.Cost, r.Failure.HasCost
}

// settleAttempt counts what an attempt came to when its lease ended, and gives its reservation back.
func (m *Machine) settleAttempt(f *fairKey, a *Attempt, cost Micros) {
	l := f.line
	a.Spent = cost
	m.roll(l)
	if a.Start >= l.spend.Period {
		l.reserved -= a.Reserved
		l.spend.Settled += cost
		l.spend.Overrun += max(0, cost-a.Reserved)
	}
	if cost != 0 || a.Reserved != 0 {
		m.countSpend(l, f.name, a.Agent, cost, 1)
	}
}

// resettle puts what a late report says of an attempt in the place of what it settled at
// provisionally, and tells whether that changed the sum. What goes beyond the latter is overrun:
// the rest of the reservation may be another's by now.
func (m *Machine) resettle(l *line, fairness string, a *Attempt, cost Micros) bool {
	delta, counted := cost-a.Spent, a.Spent != 0 || a.Reserved != 0
	a.Spent, a.Settled = cost, true
	if delta == 0 {
		return false
	}
	m.roll(l)
	if late := l.spend.late(a, delta); late != 0 {
		l.spend.Settled += late
		l.spend.Overrun += max(0, late)
		m.touchLine(l)
		m.stirLine(l)
	}
	attempts := int64(0)
	if !counted {
		attempts = 1
	}
	m.countSpend(l, fairness, a.Agent, delta, attempts)
	return true
}

// priced is an event with what the attempt that it is about settled at.
func (a *Attempt) priced(e Event) Event {
	e.Attempt, e.Agent = a.Number, a.Agent
	e.Cost, e.HasCost = a.Spent, a.Reserved != 0 || a.Spent != 0 || a.HasCost
	return e
}
