package queue

import (
	"strings"
	"testing"
)

// A parent that is retried and completes while the cascade of its first end still stands behind
// a long one lets its children go, whatever is remembered of it by then; after a restart in
// between as well (Q2).
func TestRetriedParentLetsItsChildrenGo(t *testing.T) {
	for _, policy := range []string{"cancel", "wait"} {
		for _, between := range []string{"", "restart"} {
			t.Run(strings.TrimSpace(policy+" "+between), func(t *testing.T) {
				cfg := scenarioConfig
				cfg.MaxLive = 20_000
				p := newPlayer(t, &strings.Builder{}, cfg)
				for _, line := range []string{"submit q", "fan k<q 9000", "submit p", "submit c<p policy=" + policy, "cancel q + cancel p", between, "retry p", "acquire me", "report p#1 ok"} {
					if line != "" {
						p.cut = true
						p.line(line)
					}
				}
				for range 3 { // what ended is forgotten on the way
					p.cut = true
					p.step()
				}
				p.step()
				if v, _ := p.m.Task("c"); v.Status.State != Ready {
					t.Errorf("c is %s, and p has completed", p.book.known(p.serials["c"]).Status.State)
				}
			})
		}
	}
}
