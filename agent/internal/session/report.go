package session

import (
	"cmp"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

const (
	// maxMessage is where reports are split into messages, in bytes; one report is always let through. A coordinator takes
	// far more, but a heartbeat waits for the message before it.
	maxMessage = 256 << 10

	// maxInFlight bounds the reports that were sent and not acknowledged, in bytes; one report is always let through. What is
	// said next stands behind them: a grant is to be confirmed within 5 s over a link of 1 Mbit/s too, unless a larger report
	// is on its way.
	maxInFlight = 512 << 10

	// maxUnacked is how many reports may wait before no more work is taken: a coordinator that acknowledges nothing must not
	// fill this machine's disk.
	maxUnacked = 256
)

// outgoing is a report of the current ledger that is not acknowledged.
type outgoing struct {
	report *stintv1.Report
	size   int
	order  uint64
	early  bool      // from before the welcome
	sentAt time.Time // zero: to be sent
}

// collectReports makes all reports of a ledger go out on a new link; those of another ledger stay in the outbox, and nobody
// here will acknowledge them.
func (l *loop) collectReports(ledgerID string) {
	l.line.ledgerID = ledgerID
	clear(l.reports)
	for _, report := range l.cfg.Outbox.Pending(ledgerID) {
		l.addReport(report, true)
	}
}

func (l *loop) addReport(report *stintv1.Report, early bool) {
	if l.reports[report.GetLeaseId()] != nil {
		return
	}
	l.sent++
	l.reports[report.GetLeaseId()] = &outgoing{report: report, size: proto.Size(report), order: l.sent, early: early}
}

// queueReport has a new report sent, if its ledger is there to take it.
func (l *loop) queueReport(w *work, report *stintv1.Report) {
	if w.ledgerID == l.line.ledgerID {
		l.addReport(report, false)
		return
	}
	l.log.Warn("report stays in the outbox: it belongs to another ledger", "task", w.lease.GetTask().GetId(),
		"ledger", w.ledgerID, "connected_to", l.line.ledgerID)
}

// resendLate has reports sent again that have waited for two intervals.
func (l *loop) resendLate(now time.Time) {
	for _, out := range l.reports {
		if now.Sub(out.sentAt) >= 2*l.line.interval {
			out.sentAt = time.Time{}
		}
	}
}

// onReportAcks ends the journeys of reports; every outcome is final. They show as well as heartbeats do that the coordinator
// hears us: over a slow link those wait for reports.
func (l *loop) onReportAcks(now time.Time, acks []*stintv1.ReportAck) {
	if len(acks) > 0 {
		l.heard(now)
	}
	var over []string
	for _, ack := range acks {
		if out := l.reports[ack.GetLeaseId()]; out != nil && !l.onReportAck(ack, out) {
			over = append(over, ack.GetLeaseId())
		}
	}
	if len(over) > 0 {
		l.offLoop(func() { l.cfg.Outbox.Remove(over...) })
	}
}

// onReportAck is true if the report is kept for people.
func (l *loop) onReportAck(ack *stintv1.ReportAck, out *outgoing) (refused bool) {
	id := ack.GetLeaseId()
	delete(l.reports, id)
	if out.early {
		l.line.early--
	}
	if w := l.works[id]; w != nil && w.state == done {
		delete(l.works, id)
	}
	switch ack.GetOutcome() {
	case stintv1.ReportOutcome_REPORT_OUTCOME_RECORDED, stintv1.ReportOutcome_REPORT_OUTCOME_DUPLICATE:
	case stintv1.ReportOutcome_REPORT_OUTCOME_LEASE_LOST:
		reason := ack.GetReason().String()
		if out.report.GetResult() != nil {
			l.log.Warn("success refused, kept in the outbox for a week", "lease", id, "reason", reason, "message", ack.GetMessage())
			l.offLoop(func() { l.cfg.Outbox.Refuse(id, reason) })
			return true
		}
		l.log.Info("failure came too late", "lease", id, "reason", reason)
	default:
		l.log.Error("report refused", "lease", id, "outcome", ack.GetOutcome().String(), "message", ack.GetMessage())
	}
	return false
}

// due are the reports to be sent now, oldest first, as far as the bounds let them.
func (l *loop) due(now time.Time) []*outgoing {
	room, under := maxInFlight, false
	var due []*outgoing
	for _, out := range l.reports {
		if out.sentAt.IsZero() {
			due = append(due, out)
		} else {
			room, under = room-out.size, true
		}
	}
	slices.SortFunc(due, func(a, b *outgoing) int { return cmp.Compare(a.order, b.order) })
	for i, out := range due {
		if room -= out.size; room < 0 && (under || i > 0) {
			due = due[:i]
			break
		}
		out.sentAt = now
	}
	return due
}

// flush sends what there is to say, new credit last: it must not bring grants that are confirmed behind these reports.
func (l *loop) flush(now time.Time) {
	if !l.line.welcomed {
		return
	}
	message, size := l.urgent(now), 0
	for _, out := range l.due(now) {
		if (size > 0 || message.Heartbeat != nil || len(message.Releases) > 0) && size+out.size > maxMessage {
			if !l.send(now, message) {
				return
			}
			message, size = &stintv1.SessionRequest{}, 0
		}
		message.Reports = append(message.Reports, out.report)
		size += out.size
	}
	if l.say.credit {
		message.CreditTotal = l.line.credit
	}
	l.say = say{}
	if len(message.Reports) > 0 || len(message.Releases) > 0 || message.Heartbeat != nil || message.CreditTotal > 0 || message.Draining {
		l.send(now, message)
	}
}

// urgent begins a message with what cannot wait for reports to go out.
func (l *loop) urgent(now time.Time) *stintv1.SessionRequest {
	message := &stintv1.SessionRequest{Releases: l.say.releases, Draining: l.say.draining}
	if l.say.heartbeat {
		message.Heartbeat = l.heartbeat(now)
	}
	return message
}

// heartbeat lists all that is held of the ledger at the other end.
func (l *loop) heartbeat(now time.Time) *stintv1.Heartbeat {
	l.line.heartbeats++
	l.line.heartbeatSent = now
	h := &stintv1.Heartbeat{Number: l.line.heartbeats}
	if l.line.roundTrip > 0 {
		h.RoundTrip = durationpb.New(l.line.roundTrip)
	}
	for id, w := range l.works {
		if w.ledgerID == l.line.ledgerID {
			h.Leases = append(h.Leases, &stintv1.LeaseProgress{LeaseId: id})
		}
	}
	return h
}

// send queues a message; false: the link was too slow and is given up.
func (l *loop) send(now time.Time, message *stintv1.SessionRequest) bool {
	if l.line.link.send(message) {
		return true
	}
	l.lose(now, errOverflow)
	return false
}
