package gha_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/gha"
	"github.com/larder-build/larder/backend/wrap"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/ghaserver"
)

// canary is a part of every secret.
const canary = "CANARY"

// parrot has a service answer requests of a method with a text, in which T stands
// for the token of the request, S for a signature and U for a signed URL. Others it
// answers in a way that has the client go on.
func parrot(method string, status int, text string) func(w http.ResponseWriter, r *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.Method != method {
			_, _ = fmt.Fprintf(w, `{"ok":true,"cacheId":7,"signed_upload_url":"http://%[1]s/c/b?sig=%[2]s","signed_download_url":"http://%[1]s/c/b?sig=%[2]s","archiveLocation":"http://%[1]s/c/b?sig=%[2]s","matched_key":"%[3]s","cacheKey":"%[3]s"}`,
				r.Host, "SIGNED-"+canary, "buildkit-blob-1-"+describe(content(1, 100)).Digest.String())
			return true
		}
		_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		w.Header().Set("Location", "http://127.0.0.1:1/?sig=SIGNED-"+canary)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, strings.NewReplacer(
			"<T>", token, "<S>", r.URL.Query().Get("sig"), "<U>", "https://host/c/b?sp=r&sig=SIGNED-"+canary,
		).Replace(text))
		return true
	}
}

// FuzzSecrets has a service repeat what it has been sent, in any text, and looks
// for it in errors, logs, reports and findings.
func FuzzSecrets(f *testing.F) {
	for i, text := range []string{
		`{"code":"internal","msg":"bad token <T> at <U>"}`, `{"code":"<T>","msg":"<S>"}`, `{"typeKey":"<T>","message":"Bearer <T>"}`,
		"\ufeff" + `{"code":"internal","msg":"<T>"}`, `<Error><Code><S></Code><Message>Signature <S> did not match, <U></Message></Error>`,
		`<html><T> <U>`, `{'code': '<T>'}`, `<T>`, `{"ok":false,"message":"cache write denied: <T> <U>"}`,
		`{"message":"` + strings.Repeat("x", 1015) + `<T>"}`, `{"ok":true,"matched_key":"<T>","signed_download_url":"<T>"}`,
	} {
		for j, status := range []int{200, 302, 400, 403, 409, 429, 500} {
			f.Add(text, status, i+j, i%2 == 0)
		}
	}
	f.Fuzz(func(t *testing.T, text string, status, method int, first bool) {
		if status < 200 || status > 599 || strings.Contains(text, canary) {
			t.Skip("no answer, or one that has the canary of its own")
		}
		// Some answers have writes wait for a minute.
		synctest.Test(t, func(t *testing.T) {
			methods := []string{http.MethodPost, http.MethodPut, http.MethodGet, http.MethodHead, http.MethodPatch, http.MethodDelete}
			s := ghaserver.NewLocal(ghaserver.Options{Intercept: parrot(methods[uint(method)%uint(len(methods))], status, text)})
			var said bytes.Buffer
			observer := wrap.LogTo(slog.New(slog.NewTextHandler(&said, &slog.HandlerOptions{Level: slog.LevelDebug})))
			driver := open(t, s.Server, func(o *gha.Options) {
				withREST(s.Server, o)
				o.Transport, o.Token, o.APIToken = s, "opaque-"+canary, "ghs_"+canary
				if first {
					o.Token, o.Version = "ey"+canary+".e30."+canary, 1
				}
				o.StuckAfter, o.Patience = time.Millisecond, time.Millisecond
			})
			b := wrap.Recommended(driver, wrap.Options{Observer: &observer, Retry: wrap.RetryOptions{First: time.Microsecond, Budget: time.Millisecond}})
			say(t, &said, driver, b)
			if strings.Contains(said.String(), canary) {
				t.Errorf("an answer of %d %q to %s has the driver say:\n%s", status, text, methods[uint(method)%uint(len(methods))], said.String())
			}
		})
	})
}

// say has a backend do everything, and collects what is said of it.
func say(t *testing.T, said *bytes.Buffer, driver *gha.Backend, b backend.Backend) {
	t.Helper()
	d := describe(content(1, 100))
	_, usage := driver.Usage(t.Context())
	for _, err := range append(failures(t, b), usage, driver.Delete(t.Context(), d.Digest), driver.DeleteRef(t.Context(), "demo", backend.Always)) {
		fmt.Fprintf(said, "%v %+v %#v\n", err, err, err)
	}
	m, layers := cacheOf(t, 1)
	report, err := larder.Export(t.Context(), m, layers, []larder.Target{{Backend: b, Ref: "demo"}}, larder.ExportOptions{})
	_, imported, importErr := larder.Import(t.Context(), []larder.Target{{Backend: b, Ref: "demo"}}, larder.ImportOptions{})
	var findings []backend.Finding
	for f := range driver.Diagnose(t.Context(), backend.DiagnoseOptions{}) {
		findings = append(findings, f)
	}
	text, jsonErr := json.Marshal([]any{report, imported, findings, b.Info(), blob.Digest("")})
	if jsonErr != nil {
		t.Fatal(jsonErr)
	}
	fmt.Fprintf(said, "%s %v %v", text, err, importErr)
}
