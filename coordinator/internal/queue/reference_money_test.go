package queue

import "time"

// refQueue is a queue of the reference: its settings, and its spend in the present period.
type refQueue struct {
	paused           bool
	set              Settings
	version          uint64
	period           Instant // its start
	from             Instant // since when its figures count, if not since then
	settled, overrun Micros
	all              Micros // over all time
	excess           Micros // how far settings brought it above its limit
	since            time.Duration
	grants           []time.Duration // since then
}

func newRefQueue() *refQueue { return &refQueue{set: Settings{Weight: 1}, version: 1} }

// roll begins a new period when its time has come.
func (r *reference) roll(q *refQueue) {
	if q.set.Budget.Period != PeriodHour {
		return
	}
	const hour = 3_600_000_000
	if start := r.now - r.now%hour; start != q.period {
		q.period, q.from, q.settled, q.overrun, q.excess = start, 0, 0, 0, 0
	}
}

// reserved is what the live leases of a queue that were granted in its period may cost.
func (r *reference) reserved(name string) (sum Micros) {
	q := r.queues[name]
	for _, t := range r.live() {
		if t.lease != nil && t.spec.Queue == name && t.lease.start >= q.period {
			sum += t.spec.MaxCost
		}
	}
	return sum
}

// running counts the running tasks of a queue that have these keys; "*" is any.
func (r *reference) running(queue, fairness, concurrency string) (n int) {
	for _, t := range r.live() {
		s := &t.spec
		if t.lease != nil && s.Queue == queue && (fairness == "*" || s.FairnessKey == fairness) &&
			(concurrency == "*" || s.ConcurrencyKey == concurrency) {
			n++
		}
	}
	return n
}

// settleCost settles an attempt as its lease ends (B3).
func (r *reference) settleCost(t *refTask, a *Attempt, cost Micros) {
	q := r.queues[t.spec.Queue]
	r.roll(q)
	a.Spent = cost
	t.st.Spent += cost
	if a.Start >= q.period {
		q.settled += cost
		q.overrun += max(0, cost-a.Reserved)
	}
	if cost != 0 || a.Reserved != 0 {
		r.spend(t, a, cost, 1)
	}
}

// settleLate has the first report of an ended attempt say what it cost (B3); a changed sum is an
// event unless the report has one of its own.
func (r *reference) settleLate(t *refTask, a *Attempt, x *Report, silent bool) {
	if a.Settled {
		return
	}
	cost, stated := costOf(x)
	if !stated {
		if a.Reserved == 0 && !silent {
			return
		}
		cost = r.unstated(x, a.Reserved)
	}
	attempts := int64(0)
	if a.Spent == 0 && a.Reserved == 0 {
		attempts = 1
	}
	delta := cost - a.Spent
	a.Spent, a.Settled, a.Cost, a.HasCost = cost, true, 0, false
	if stated {
		a.Cost, a.HasCost = cost, true
	}
	t.attempts[a.Number] = *a
	if delta == 0 {
		return
	}
	q := r.queues[t.spec.Queue]
	r.roll(q)
	if a.Start >= q.period && (a.Finish > q.from || a.Finish == q.from && delta > 0) {
		q.settled += delta
		q.overrun += max(0, delta)
	}
	r.spend(t, a, delta, attempts)
	if !t.st.State.Terminal() {
		t.st.Spent += delta
	}
	if !silent {
		r.priced(t, EventSpendSettled, a, 0, 0)
	}
}

// unstated is what an attempt settles at whose report states no cost.
func (r *reference) unstated(x *Report, reserved Micros) Micros {
	if !x.Success {
		switch x.Failure.Class {
		case ClassConnect, ClassRateLimited, ClassOverloaded, ClassAuth, ClassOutOfCredit, ClassInvalidRequest:
			return 0
		}
	}
	return reserved
}

func (r *reference) spend(t *refTask, a *Attempt, cost Micros, attempts int64) {
	r.queues[t.spec.Queue].all += cost
	keys := []SpendKey{{t.spec.Queue, ByQueue, ""}, {t.spec.Queue, ByAgent, a.Agent}}
	if t.spec.FairnessKey != "" {
		keys = append(keys, SpendKey{t.spec.Queue, ByFairnessKey, t.spec.FairnessKey})
	}
	for _, k := range keys {
		row := r.rows[k]
		row.Queue, row.By, row.Name = k.Queue, k.By, k.Name
		row.Spent += cost
		row.Attempts += attempts
		r.rows[k] = row
	}
}

// update takes new settings; that they are within bounds is the machine's to say.
func (r *reference) update(c *UpdateQueue) {
	q, ok := r.queues[c.Queue]
	switch {
	case !ok && c.Etag != 0:
		r.wantErr("update", c.Err, QueueNotFound)
		return
	case ok && c.Etag != 0 && c.Etag != q.version:
		r.wantErr("update", c.Err, EtagMismatch)
		return
	case c.Mask&MaskWeight != 0 && c.Settings.Weight > MaxWeight:
		r.wantErr("update", c.Err, FieldInvalid)
		return
	}
	r.wantErr("update", c.Err, "")
	if !ok {
		q = newRefQueue()
		r.queues[c.Queue] = q
	}
	was := q.set
	r.adopt(q, c)
	if q.set != was && ok {
		q.version++
	}
	if q.set != was || !ok {
		r.queueEvent(c.Queue)
	}
	if q.set.Rate != was.Rate {
		q.since, q.grants = r.elapsed, nil
	}
	if max(was.Budget.Period, PeriodTotal) != max(q.set.Budget.Period, PeriodTotal) {
		q.period, q.from, q.settled, q.overrun = 0, 0, q.all, 0
		if q.set.Budget.Period == PeriodHour {
			q.period = -1
			r.roll(q)
			q.from = r.now
		}
	}
	r.roll(q)
	q.excess = max(0, q.settled+r.reserved(c.Queue)-q.overrun-q.set.Budget.Limit)
}

func (r *reference) adopt(q *refQueue, c *UpdateQueue) {
	s := &c.Settings
	if c.Mask&MaskMaxRunning != 0 {
		q.set.MaxRunning = s.MaxRunning
	}
	if c.Mask&MaskKeyLimit != 0 {
		q.set.KeyLimit = s.KeyLimit
	}
	if c.Mask&MaskRate != 0 {
		q.set.Rate = s.Rate
	}
	if c.Mask&MaskWeight != 0 {
		q.set.Weight = max(1, s.Weight)
	}
	if c.Mask&MaskStrictFencing != 0 {
		q.set.StrictFencing = s.StrictFencing
	}
	if c.Mask&MaskBudget != 0 {
		q.set.Budget = s.Budget
	}
}

// mayGrant checks a grant that is about to be taken over against all limits (B1, Q5).
func (r *reference) mayGrant(t *refTask) {
	s := &t.spec
	q := r.queues[s.Queue]
	r.roll(q)
	if most := q.set.MaxRunning; most > 0 && r.running(s.Queue, "*", "*") >= int(most) {
		r.fault("%s is granted above max_running %d", s.ID, most)
	}
	if most := q.set.KeyLimit; most > 0 && s.ConcurrencyKey != "" && r.running(s.Queue, "*", s.ConcurrencyKey) >= int(most) {
		r.fault("%s is granted above the limit of its key, %d", s.ID, most)
	}
	if b := q.set.Budget; b.Set && q.settled+r.reserved(s.Queue)+s.MaxCost > b.Limit {
		r.fault("%s is granted at %d settled and %d reserved of %d", s.ID, q.settled, r.reserved(s.Queue), b.Limit)
	}
	if rate := q.set.Rate; rate.PerSecond > 0 {
		q.grants = append(q.grants, r.elapsed)
		const slack = 1e-6
		for i, from := range q.grants {
			n := float64(len(q.grants) - i)
			if n > float64(rate.Burst)+(r.elapsed-from).Seconds()*rate.PerSecond+slack || n > (r.elapsed-q.since).Seconds()*rate.PerSecond+slack {
				r.fault("%s is granted as number %v since %v, at %v", s.ID, n, from, r.elapsed)
			}
		}
	}
}

// held tells whether a READY task may be left though somebody wants it: a limit holds it.
func (r *reference) limited(t *refTask) bool {
	s := &t.spec
	q := r.queues[s.Queue]
	v, _ := r.m.Queue(s.Queue)
	switch {
	case q.paused, q.set.MaxRunning > 0 && r.running(s.Queue, "*", "*") >= int(q.set.MaxRunning),
		q.set.KeyLimit > 0 && s.ConcurrencyKey != "" && r.running(s.Queue, "*", s.ConcurrencyKey) >= int(q.set.KeyLimit),
		q.set.Rate.PerSecond > 0 && v.RateTokens < 1:
		return true
	case q.set.Budget.Set:
		for _, o := range r.live() { // one that comes first and does not fit holds its queue
			if o.st.State == Ready && o.spec.Queue == s.Queue && !r.beyond(o) && q.settled+r.reserved(s.Queue)+o.spec.MaxCost > q.set.Budget.Limit {
				return true
			}
		}
	}
	return false
}

// beyond tells whether a task reserves more than the whole budget of its queue: it holds nobody.
func (r *reference) beyond(t *refTask) bool {
	b := r.queues[t.spec.Queue].set.Budget
	return b.Set && t.spec.MaxCost > b.Limit
}

// checkMoney compares the figures of the queues and the rows, and shows that caps hold (B1, B2).
func (r *reference) checkMoney(b *book) {
	for _, v := range r.m.Queues("", MaxQueues) {
		q := r.queues[v.Name]
		if q == nil {
			continue
		}
		r.roll(q)
		reserved := r.reserved(v.Name)
		if v.Settings != q.set || v.Version != q.version || v.Running != int64(r.running(v.Name, "*", "*")) {
			r.fault("queue %s: %+v version %d running %d, want %+v %d", v.Name, v.Settings, v.Version, v.Running, q.set, q.version)
		}
		if s := v.Spend; s.Settled != q.settled || s.Reserved != reserved || s.Overrun != q.overrun || s.Start != max(0, q.period) {
			r.fault("queue %s: spend %+v, want %+v reserved %d", v.Name, s, *q, reserved)
		}
		if v.Spend.Settled < 0 || v.Spend.Reserved < 0 {
			r.fault("queue %s: %d settled and %d reserved", v.Name, v.Spend.Settled, v.Spend.Reserved)
		}
		if limit := q.set.Budget.Limit; q.set.Budget.Set && q.settled+reserved > limit+q.overrun+q.excess {
			r.fault("queue %s: %d settled and %d reserved of %d with %d overrun (B1)", v.Name, q.settled, reserved, limit, q.overrun)
		}
	}
	if len(b.spends) != len(r.rows) {
		r.fault("%d rows of spend are stored, want %d", len(b.spends), len(r.rows))
	}
	for k, want := range r.rows {
		if b.spends[k] != want {
			r.fault("stored spend %+v, want %+v", b.spends[k], want)
		}
	}
	for _, by := range []SpendBy{ByQueue, ByAgent, ByFairnessKey} {
		for _, row := range r.m.Spend("", by, SpendKey{}, 1000) {
			if row.Name != "" && row != r.rows[row.Key()] {
				r.fault("spend %+v, want %+v", row, r.rows[row.Key()])
			}
		}
	}
}
