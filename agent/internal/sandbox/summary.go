package sandbox

import (
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	// fullSentence, in telling words: a shorter one, a heading say, is scored as if it had so many, so that it doesn't win by its length.
	fullSentence = 8

	// maxSentence, in characters, bounds what "sentences" without an end, tables and logs say, may take of a result.
	maxSentence = 400
)

// best returns the k highest-scoring sentences in the order of the text; of two equal ones the earlier wins.
func (t text) best(k int) []string {
	scores := make([]float64, len(t.sentences))
	order := make([]int, len(t.sentences))
	for i, s := range t.sentences {
		scores[i], order[i] = t.score(s), i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(scores[b], scores[a]) })
	order = order[:min(k, len(order))]
	slices.Sort(order)
	best := make([]string, len(order))
	for i, o := range order {
		best[i] = cut(t.sentences[o])
	}
	return best
}

// score is the mean frequency, over the whole text, of the sentence's telling words.
func (t text) score(sentence string) float64 {
	total, telling := 0, 0
	for w := range words(sentence) {
		w = strings.ToLower(w)
		if !stopWords[w] && utf8.RuneCountInString(w) > 1 {
			total += t.frequency[w]
			telling++
		}
	}
	return float64(total) / float64(max(telling, fullSentence))
}

func cut(sentence string) string {
	n := 0
	for i := range sentence {
		if n == maxSentence {
			return sentence[:i] + "…"
		}
		n++
	}
	return sentence
}

// stopWords say nothing of what an English text is about. Texts in other languages are scored with all their words.
var stopWords = func() map[string]bool {
	set := make(map[string]bool)
	for w := range strings.FieldsSeq(`
		a about after again all also am an and any are as at be because been before being between both but by can
		could did do does doing down during each few for from further had has have having he her here hers him his
		how i if in into is it its itself just me more most my no nor not now of off on once only or other our out
		over own same she should so some such than that the their them then there these they this those through to
		too under until up us very was we were what when where which while who whom why will with would you your`) {
		set[w] = true
	}
	return set
}()
