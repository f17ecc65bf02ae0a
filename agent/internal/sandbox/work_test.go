package sandbox

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestArithmetic(t *testing.T) {
	for prompt, want := range map[string]string{
		"What is 2+2?":                         "2 + 2 = 4",
		"what's 7 - 10":                        "7 - 10 = -3",
		"12*12=":                               "12 * 12 = 144",
		"How much is 3 × -4 ?":                 "3 × -4 = -12",
		"compute 7/2.":                         "7 / 2 = 3.500000",
		"8 ÷ 2":                                "8 ÷ 2 = 4",
		"1/3":                                  "1 / 3 = 0.333333 (rounded to 6 decimals)",
		"5/0":                                  "5 / 0 has no value: division by zero.",
		"2 - -2":                               "2 - -2 = 4",
		"999999999999999999*99999999999999999": "999999999999999999 * 99999999999999999 = 99999999999999998900000000000000001",
		"What is 2+2+2?":                       "",
		"What is 2+2? And why?":                "",
		"1.5+2":                                "",
		"2 ^ 3":                                "",
		"1234567890123456789+1":                "",
		"":                                     "",
	} {
		got, ok := arithmetic(prompt)
		if got != want || ok != (want != "") {
			t.Errorf("%q: %q, want %q", prompt, got, want)
		}
	}
}

// What is to be put together comes back whole and as it was; anything else is summed up.
func TestPutTogether(t *testing.T) {
	for prompt, want := range map[string]string{
		"Put together what was said:\n\na: One.  Two.\n\nb: {{ x }}\n": "a: One.  Two.\n\nb: {{ x }}",
		" put TOGETHER: \r\none\r\n":                                   "one",
		"Put together:\nPut together:\nx":                              "Put together:\nx",
		"Put together what was said: one":                              "",
		"Put together\nwhat was said:\none":                            "",
		"Put together:\n  \n":                                          "",
		"Please put together:\none":                                    "",
		"Put togetherness:\none":                                       "",
	} {
		got, ok := putTogether(prompt)
		if ok != (want != "") || strings.TrimPrefix(got, "Put together, as it was given:\n") != want {
			t.Errorf("%q: got %q, want %q", prompt, got, want)
		}
		if ok && work(prompt, 1) != preface+"\n"+got {
			t.Errorf("%q: the work is %q", prompt, work(prompt, 1))
		}
	}
}

func TestWordsAndSentences(t *testing.T) {
	for name, row := range map[string]struct {
		text      string
		words     int
		distinct  int
		sentences []string
	}{
		"plain":          {"One fish. Two fish! Red fish?", 6, 4, []string{"One fish.", "Two fish!", "Red fish?"}},
		"no end":         {"no end", 2, 2, []string{"no end"}},
		"one word each":  {"don't well-known snake_case 'quoted' end-", 5, 5, []string{"don't well-known snake_case 'quoted' end-"}},
		"case":           {"The the THE", 3, 1, []string{"The the THE"}},
		"decimals":       {"It costs 3.5 dollars. Really.", 6, 6, []string{"It costs 3.5 dollars.", "Really."}},
		"abbreviation":   {"Use a queue, e.g. this one. Done.", 8, 8, []string{"Use a queue, e.g. this one.", "Done."}},
		"closing quote":  {`She said "Go." He went... (Slowly.) End`, 7, 7, []string{`She said "Go."`, "He went...", "(Slowly.)", "End"}},
		"wrapped":        {"A line\nthat goes on.\n\nNew one", 7, 7, []string{"A line that goes on.", "New one"}},
		"heading":        {"# Title\nText here", 3, 3, []string{"Title", "Text here"}},
		"list":           {"Do:\n- first\n* second\n2. third\n3) fourth", 7, 7, []string{"Do:", "first", "second", "third", "fourth"}},
		"table":          {"| a | b |\n|---|---|\n| c | d |", 4, 4, []string{"| a | b |", "| c | d |"}},
		"no list":        {"-5 degrees\n2020 was cold", 5, 5, []string{"-5 degrees 2020 was cold"}},
		"other scripts":  {"Привет мир。你好！再见", 4, 4, []string{"Привет мир。", "你好！", "再见"}},
		"spaces":         {"  a \t b\r\nc  ", 3, 3, []string{"a b c"}},
		"marks only":     {"... !!! ---", 0, 0, nil},
		"nothing":        {"", 0, 0, nil},
		"broken unicode": {"a\xff-b", 2, 2, []string{"a\xff-b"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := readText(row.text)
			if got.words != row.words || len(got.frequency) != row.distinct || !slices.Equal(got.sentences, row.sentences) {
				t.Errorf("words %d, distinct %d, sentences %q", got.words, len(got.frequency), got.sentences)
			}
		})
	}
}

const rivers = "Rivers carry fresh water from mountains down to distant seas. " +
	"My aunt likes cake. " +
	"Water in rivers feeds farms, rivers turn mills, and rivers carry boats. " +
	"It was on a Tuesday. " +
	"Rivers flood when mountains lose snow and water rises quickly. " +
	"Nobody knows why the cat sneezed at the violet umbrella yesterday."

func TestSummaryKeepsTheMostTellingSentencesInOrder(t *testing.T) {
	all := readText(rivers).sentences
	for k, want := range map[int][]string{
		0: {},
		1: {all[2]},
		3: {all[0], all[2], all[4]},
		5: {all[0], all[1], all[2], all[4], all[5]},
		9: all,
	} {
		if got := readText(rivers).best(k); !slices.Equal(got, want) {
			t.Errorf("k %d: %q", k, got)
		}
	}
}

func TestLongSentencesAreCutBetweenCharacters(t *testing.T) {
	got := readText(strings.Repeat("ä", 500)).best(1)[0]
	if utf8.RuneCountInString(got) != 401 || !strings.HasSuffix(got, "ä…") || !utf8.ValidString(got) {
		t.Errorf("%d characters: %q", utf8.RuneCountInString(got), got)
	}
}

func TestResultSaysWhatWasDoneAndByWhom(t *testing.T) {
	counts := "The prompt has 52 words (42 distinct) in 6 sentences."
	for name, row := range map[string]struct {
		prompt string
		k      int
		want   []string // in this order
	}{
		"summary first":   {rivers, 3, []string{"Summary, 3 of 6 sentences, chosen by word frequency:\nRivers carry", counts}},
		"counts first":    {"Count the words.", 1, []string{"The prompt has 3 words (3 distinct) in 1 sentence.", "Summary, 1 of 1 sentence,"}},
		"how many":        {"How many words?", 1, []string{"The prompt has 3 words", "Summary"}},
		"a country":       {"The country accounts.", 1, []string{"Summary", "The prompt has 3 words"}},
		"fewer than k":    {"Short.", 5, []string{"Summary, 1 of 1 sentence, chosen by word frequency:\nShort.", "1 word (1 distinct)"}},
		"sum":             {"What is 2+2?", 3, []string{"2 + 2 = 4"}},
		"nothing to read": {"???", 3, []string{"There is no sentence to sum up.", "0 words (0 distinct) in 0 sentences"}},
	} {
		t.Run(name, func(t *testing.T) {
			rest, ok := strings.CutPrefix(work(row.prompt, row.k), preface+"\n")
			if !ok {
				t.Errorf("does not begin with %q", preface)
			}
			for _, want := range row.want {
				if _, rest, ok = strings.Cut(rest, want); !ok {
					t.Errorf("no %q in its place in %q", want, work(row.prompt, row.k))
				}
			}
		})
	}
}

func TestIntensityChoosesTheLengthOfTheSummary(t *testing.T) {
	s := newServer(t, Config{})
	for intensity, want := range map[string]string{"low": "1 of 6", "medium": "3 of 6", "high": "5 of 6", "": "3 of 6"} {
		got := parse[grindAnswer](t, ask(t, s, request("POST", "/grind", fmt.Sprintf(`{"prompt":%q,"intensity":%q}`, rivers, intensity))))
		if !strings.Contains(got.Result, "Summary, "+want) {
			t.Errorf("%q: %q", intensity, got.Result)
		}
	}
}

func TestCostIsClampedToTheBudgetGiven(t *testing.T) {
	usd := func(v float64) *float64 { return &v }
	for name, row := range map[string]struct {
		tokens      int
		least, most *float64
		want        float64
	}{
		"free":      {100, nil, nil, 0.001},
		"raised":    {100, usd(0.05), usd(0.1), 0.05},
		"within":    {7000, usd(0.05), usd(0.1), 0.07},
		"cut":       {20000, usd(0.05), usd(0.1), 0.1},
		"only most": {20000, nil, usd(0), 0},
		"one value": {1, usd(0.03), usd(0.03), 0.03},
	} {
		if got := newUsage(row.tokens, 0).cost(row.least, row.most); got != row.want {
			t.Errorf("%s: %v, want %v", name, got, row.want)
		}
	}
}

func TestAnyTextIsWorkedOn(t *testing.T) {
	marks := []rune("ab C.!?\"'-*#|>1)\n\t…。ä\u0301")
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		prompt := make([]rune, random.IntN(60))
		for i := range prompt {
			prompt[i] = marks[random.IntN(len(marks))]
		}
		read := readText(string(prompt))
		if (read.words == 0) != (len(read.sentences) == 0) {
			t.Fatalf("%q: %d words in %d sentences", string(prompt), read.words, len(read.sentences))
		}
		inSentences := 0
		for _, s := range read.sentences {
			for range words(s) {
				inSentences++
			}
		}
		if inSentences > read.words+len(read.sentences) {
			t.Fatalf("%q: %d words became %d", string(prompt), read.words, inSentences)
		}
	}
}

func BenchmarkLargestInstruction(b *testing.B) {
	source, err := os.ReadFile("work.go")
	if err != nil {
		b.Fatal(err)
	}
	prompt := strings.Repeat(string(source), 512<<10/len(source))
	b.SetBytes(int64(len(prompt)))
	for b.Loop() {
		work(prompt, 5)
	}
}
