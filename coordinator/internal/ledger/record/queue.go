package record

import (
	"encoding/binary"
	"math"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

const (
	queuePaused   = 1 << iota
	queueSettings // since format 2, as the next two
	queueVersion
	queueSpend
	queueSince // of the spend; came while the format was 4
	queueKnown = 1<<iota - 1
)

const (
	settingsMaxRunning = 1 << iota
	settingsRate
	settingsWeight
	settingsStrict
	settingsRetry
	settingsBudget
	settingsKeyLimit
	settingsKnown = 1<<iota - 1
)

// Usual values of a queue, which are left out: those of one that nobody has changed.
var usualSettings = queue.Settings{Weight: 1}

const usualVersion = 1

// AppendQueue appends the value of a queue. The name is in the key.
func AppendQueue(b []byte, v *queue.QueueRecord) []byte {
	f := bit(v.Paused, queuePaused) | bit(v.Settings != usualSettings, queueSettings) |
		bit(v.Version != usualVersion, queueVersion) | bit(v.Spend != queue.PeriodSpend{}, queueSpend) |
		bit(v.Spend.Since != 0, queueSince)
	b = append(b, version)
	b = binary.AppendUvarint(b, f)
	b = binary.AppendVarint(b, v.Counts.Submitted)
	b = binary.AppendVarint(b, v.Counts.Pruned)
	b = binary.AppendUvarint(b, uint64(queue.States-1))
	for _, n := range v.Counts.States[1:] {
		b = binary.AppendVarint(b, n)
	}
	if f&queueSettings != 0 {
		b = appendSettings(b, &v.Settings)
	}
	if f&queueVersion != 0 {
		b = binary.AppendUvarint(b, v.Version)
	}
	if f&queueSpend != 0 {
		b = binary.AppendVarint(b, int64(v.Spend.Period))
		b = binary.AppendVarint(b, int64(v.Spend.Settled))
		b = binary.AppendVarint(b, int64(v.Spend.Overrun))
	}
	if f&queueSince != 0 {
		b = binary.AppendVarint(b, int64(v.Spend.Since))
	}
	return b
}

// DecodeQueue reads a queue into v.
func DecodeQueue(key, value []byte, v *queue.QueueRecord) error {
	*v = queue.QueueRecord{}
	name, err := QueueName(key)
	if err != nil {
		return err
	}
	s, err := open(key, value, nil)
	if err != nil {
		return err
	}
	f := s.flags(queueKnown)
	v.Name, v.Paused = name, f&queuePaused != 0
	v.Counts.Submitted, v.Counts.Pruned = s.varint(), s.varint()
	n := s.count(1)
	if n >= queue.States {
		s.fail("counts of unknown states")
		n = 0
	}
	for i := range n {
		v.Counts.States[i+1] = s.varint()
	}
	v.Settings, v.Version = usualSettings, usualVersion
	if f&queueSettings != 0 {
		s.settings(&v.Settings)
	}
	if f&queueVersion != 0 {
		v.Version = s.uvarint()
	}
	if f&queueSpend != 0 {
		v.Spend.Period = queue.Instant(s.varint())
		v.Spend.Settled, v.Spend.Overrun = queue.Micros(s.varint()), queue.Micros(s.varint())
	}
	if f&queueSince != 0 {
		v.Spend.Since = queue.Instant(s.varint())
	}
	return s.done(key)
}

func appendSettings(b []byte, v *queue.Settings) []byte {
	f := bit(v.MaxRunning != 0, settingsMaxRunning) | bit(v.Rate != queue.Rate{}, settingsRate) |
		bit(v.Weight != usualSettings.Weight, settingsWeight) | bit(v.StrictFencing, settingsStrict) |
		bit(v.Retry != queue.RetryDefaults{}, settingsRetry) | bit(v.Budget != queue.Budget{}, settingsBudget) |
		bit(v.KeyLimit != 0, settingsKeyLimit)
	b = binary.AppendUvarint(b, f)
	b = appendInt32(b, f&settingsMaxRunning, v.MaxRunning)
	if f&settingsRate != 0 {
		b = binary.BigEndian.AppendUint64(b, math.Float64bits(v.Rate.PerSecond))
		b = binary.AppendVarint(b, int64(v.Rate.Burst))
	}
	b = appendInt32(b, f&settingsWeight, v.Weight)
	if f&settingsRetry != 0 {
		r := queue.Retry(v.Retry)
		b = appendRetry(b, &r)
	}
	if f&settingsBudget != 0 {
		b = binary.AppendVarint(b, int64(v.Budget.Limit))
		b = append(b, byte(v.Budget.Period), byte(bit(v.Budget.Set, 1)))
	}
	return appendInt32(b, f&settingsKeyLimit, v.KeyLimit)
}

func (s *scan) settings(v *queue.Settings) {
	f := s.flags(settingsKnown)
	v.MaxRunning = s.optInt32(f&settingsMaxRunning, 0)
	if f&settingsRate != 0 {
		v.Rate.PerSecond, v.Rate.Burst = s.float(), s.int32()
	}
	v.Weight = s.optInt32(f&settingsWeight, usualSettings.Weight)
	v.StrictFencing = f&settingsStrict != 0
	if f&settingsRetry != 0 {
		var r queue.Retry
		s.retry(&r)
		v.Retry = queue.RetryDefaults(r)
	}
	if f&settingsBudget != 0 {
		v.Budget.Limit = queue.Micros(s.varint())
		v.Budget.Period, v.Budget.Set = queue.Period(s.byte()), s.bool()
		if v.Budget.Period > queue.PeriodMonth {
			s.fail("unknown period")
		}
	}
	v.KeyLimit = s.optInt32(f&settingsKeyLimit, 0)
}
