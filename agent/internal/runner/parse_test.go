package runner

import (
	"encoding/json"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
)

// FuzzParserAgreesWithTheLibraries holds the parser against encoding/json and structpb, for every text.
func FuzzParserAgreesWithTheLibraries(f *testing.F) {
	for _, text := range []string{
		benchAnswer, `{}`, `[]`, `"a"`, `null`, `true`, ` { } `, `{"a":`, `{"a":1}{}`, ``, "\xff", `{"a":1e999}`, `{"a":[-1e999]}`,
		`{"a":[],"b":[ ],"c":{},"d":[1,[2,[3]],{"e":null}],"f":true,"g":false}`,
		"{ \"a\" :\t1 ,\r\n \"b\"\n: [ 1 , 2 ] }",
		`{"a":-0,"b":1.5,"c":-1e-7,"d":1E+2,"e":12345678901234567890,"f":5e-324}`,
		`{"":"","a\"b":"\\","c":"\u00e9\ud83d\ude00\ud800","d":"é😀","e":"\n\/"}`, `{"\u0061":1,"a":2}`, `{"a":1,"a":2}`,
		"{\"a\":\"\xff\",\"\xfe\":1}", "{\"a\":\"\xe2\x80\xa8\x7f\"}",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := parseObject(text)
		var value any
		if wantErr := json.Unmarshal(text, &value); (err == nil) != (wantErr == nil) {
			t.Fatalf("error = %v; want %v", err, wantErr)
		}
		object, ok := value.(map[string]any)
		if err != nil || !ok {
			if got != nil {
				t.Errorf("parsed %v; want nothing", got)
			}
			return
		}
		want, err := structpb.NewStruct(object)
		if err != nil || !proto.Equal(got, want) {
			t.Errorf("parsed %v\nwant %v, %v", got, want, err)
		}
	})
}
