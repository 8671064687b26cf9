package backend_test

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder/backend"
)

// canary is a secret that must not appear anywhere.
const canary = "canary+/5ecret"

// TestLocationHidesSecrets prints a location in every way that comes to mind,
// alone and inside of other values, in fields exported and not.
func TestLocationHidesSecrets(t *testing.T) {
	l := parse(t, locationMux(), "type=s3,bucket=b,region=r,access_key_id="+canary+",secret_access_key="+canary)
	if !strings.Contains(l.Reveal(), canary) || !strings.Contains(l.RevealURL(), "canary%2B/5ecret") {
		t.Fatalf("Reveal() = %s and RevealURL() = %s, want the secret in both", l.Reveal(), l.RevealURL())
	}
	printed := map[string]string{"String": l.String(), "URL": l.URL(), "Inert": fmt.Sprint(l.Inert())}
	for name, value := range map[string]any{
		"value": l, "pointer": &l, "slice": []backend.Location{l}, "map": map[string]backend.Location{"a": l},
		"field": struct{ L backend.Location }{l}, "unexported field": struct{ l backend.Location }{l},
		"any": struct{ v any }{l}, "pointer in unexported field": struct{ l *backend.Location }{&l},
	} {
		for verb := range strings.FieldsSeq("v +v #v s q x X d t c U e p T 80v -80s 300q") {
			printed[name+" %"+verb] = fmt.Sprintf("%"+verb, value)
		}
		printed[name+" in JSON"] = encoded(json.Marshal(value))
		printed[name+" in XML"] = encoded(xml.Marshal(value))
		printed[name+" in gob"] = gobEncoded(value)
		printed[name+" in a text log"] = logged(value, func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) })
		printed[name+" in a JSON log"] = logged(value, func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) })
	}
	printed["cmp.Diff"] = cmp.Diff(l, l.WithRef("other"))
	for name, text := range printed {
		for _, trace := range []string{"5ecret", fmt.Sprintf("%x", "5ecret"), fmt.Sprintf("%X", "5ecret")} {
			if strings.Contains(text, trace) {
				t.Errorf("%s = %s, which holds the secret", name, text)
			}
		}
	}
	if got, want := printed["value %v"], "type=s3,bucket=b,region=r,access_key_id=REDACTED,secret_access_key=REDACTED"; got != want {
		t.Errorf("%%v = %s, want %s", got, want)
	}
	if got, want := printed["value in JSON"], `"type=s3,bucket=b,region=r,access_key_id=REDACTED,secret_access_key=REDACTED"`; got != want {
		t.Errorf("JSON = %s, want %s", got, want)
	}
}

func encoded(data []byte, err error) string {
	if err != nil {
		return err.Error()
	}
	return string(data)
}

func gobEncoded(value any) string {
	var out bytes.Buffer
	err := gob.NewEncoder(&out).Encode(value)
	return encoded(out.Bytes(), err)
}

func logged(value any, handler func(*bytes.Buffer) slog.Handler) string {
	var out bytes.Buffer
	slog.New(handler(&out)).Info("opened", "location", value)
	return out.String()
}

// TestErrorsHideSecrets puts a secret wherever somebody could have misplaced
// it; no error may repeat it.
func TestErrorsHideSecrets(t *testing.T) {
	for _, text := range []string{
		"CANARY",
		"me:CANARY@h.io/r",
		"s3://me:CANARY@b/p?region=r",
		"s3://CANARY@b",
		"s3://me:CANARY",
		"https://me:CANARY@h.io",
		"s3://b/?region=r&secret_access_key=CANARY%zz",
		"s3://b/?region=r&secret_access_key=CANARY&CANARY",
		"s3://b/?region=r&secret_access_key=CANARY#",
		"s3://b/%zz?region=r&secret_access_key=CANARY",
		"s3://b/?region=r&secret_access_keys=CANARY",
		"s3://b/?secret_access_key=CANARY",
		"type=s3,bucket=b,region=r,secret_access_key=CANARY,",
		"type=s3,bucket=b,region=r,secret_access_key=x,CANARY",
		"type=s3,bucket=b,region=r,secret_access_key=x,+CANARY=",
		"type=s3,bucket=b,region=r,secret_access_key= CANARY",
		"type=s3,bucket=b,region=r,secret_access_key=CANARY\n",
		"type=s3,bucket=b,region=r,secret_access_key=CANARY\x00",
		"type=s3,bucket=b,region=r,secret_access_key=CANARY\xff",
		"type=s3,bucket=b,region=r,secret_acces_key=CANARY",
		`type=s3,bucket=b,region=r,secret_access_key="CANARY"`,
		`type=s3,bucket=b,region=r,"secret_access_key=CANARY`,
		"type=s3,bucket=b,region=r,secret_access_key=CANARY,secret_access_key=CANARY2",
		"secret_access_key=CANARY",
		"type=gha,token=CANARY,secret_access_key=CANARY",
		"type=azblob,secret_access_key=CANARY",
		"type=s4,secret_access_key=CANARY",
		"type=s3 CANARY",
	} {
		text = strings.ReplaceAll(text, "CANARY", canary)
		_, err := locationMux().Parse(text)
		wantInvalid(t, "Parse("+text+")", err)
		if err != nil && strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), "5ecret") {
			t.Errorf("Parse(%s) = %v, which holds the secret", text, err)
		}
	}
}

// TestCheckOfSecretIsNotQuoted shows that what is wrong with a secret is said
// without it, and what is wrong with another value with it.
func TestCheckOfSecretIsNotQuoted(t *testing.T) {
	m := new(backend.Mux)
	refuse := func(string) error { return errors.New("want something else") }
	m.Register(backend.Driver{
		Type: "xx", Open: openNothing,
		Attrs: []backend.Attr{{Name: "open", Check: refuse}, {Name: "hidden", Secret: true, Check: refuse}},
	})
	for text, want := range map[string]string{
		"xx:?open=canary":   `invalid location: attribute open is "canary", want something else`,
		"xx:?hidden=canary": "invalid location: attribute hidden: want something else",
	} {
		if _, err := m.Parse(text); err == nil || err.Error() != want {
			t.Errorf("Parse(%s) = %v, want %s", text, err, want)
		}
	}
}
