package calls_test

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/calls"
)

var errBroken = errors.New("broken")

func TestCallEndsWithItsContextAndTheLife(t *testing.T) {
	for _, test := range []struct {
		name string
		end  func(cancel context.CancelFunc, life calls.Life)
		want error
	}{
		{"the context", func(cancel context.CancelFunc, _ calls.Life) { cancel() }, context.Canceled},
		{"the life", func(_ context.CancelFunc, life calls.Life) { life.End() }, fs.ErrClosed},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			life := calls.NewLife(t.Context())
			err := life.Call(ctx, func(ctx context.Context) error {
				test.end(cancel, life)
				<-ctx.Done()
				return errBroken
			})
			if !errors.Is(err, test.want) || !errors.Is(err, errBroken) {
				t.Errorf("Call() = %v, want %v and what it has caused", err, test.want)
			}
			err = life.Call(ctx, func(context.Context) error { t.Error("a call was made after the end"); return nil })
			if !errors.Is(err, test.want) {
				t.Errorf("Call(afterwards) = %v, want %v", err, test.want)
			}
		})
	}
}

func TestLifeOutlastsItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	life := calls.NewLife(ctx)
	cancel()
	if err := life.Call(t.Context(), func(ctx context.Context) error { return ctx.Err() }); err != nil {
		t.Errorf("Call() = %v, want nil: the context of NewLife has no part in it", err)
	}
}

func TestReasonLeavesOtherErrorsAlone(t *testing.T) {
	life := calls.NewLife(t.Context())
	for _, err := range []error{nil, errBroken} {
		if got := life.Reason(t.Context(), err); !errors.Is(got, err) || err == nil && got != nil {
			t.Errorf("Reason(%v) = %v, want the same", err, got)
		}
	}
}

func digestsOf(texts ...string) []blob.Digest {
	all := make([]blob.Digest, len(texts))
	for i, text := range texts {
		all[i] = blob.Describe("", []byte(text)).Digest
	}
	return all
}

func TestDistinct(t *testing.T) {
	all := digestsOf("a", "b", "a", "c", "b")
	unique, _, err := calls.Distinct(all)
	if want := digestsOf("a", "b", "c"); err != nil || !slices.Equal(unique, want) {
		t.Errorf("Distinct() = %v, %v, want %v", unique, err, want)
	}
	_, bad, err := calls.Distinct(append(all, "sha256:\x1b[2J"))
	if err == nil || strings.Contains(bad, "\x1b") || bad == "" {
		t.Errorf("Distinct(a malformed one) = %q, %v, want it quoted and an error", bad, err)
	}
}

func TestEach(t *testing.T) {
	life := calls.NewLife(t.Context())
	all := digestsOf("a", "b", "c")
	keyed := func(key string, err error) error { return errors.Join(errors.New("key "+key), err) }
	var done atomic.Int64
	do := func(context.Context, blob.Digest) error { done.Add(1); return nil }
	if err := life.Each(t.Context(), all, do, keyed); err != nil || done.Load() != 3 {
		t.Errorf("Each() = %v after %d digests, want nil after 3", err, done.Load())
	}
	err := life.Each(t.Context(), all, func(_ context.Context, d blob.Digest) error {
		if d == all[1] {
			return errBroken
		}
		return nil
	}, keyed)
	if !errors.Is(err, errBroken) || !strings.Contains(err.Error(), "key "+all[1].String()) {
		t.Errorf("Each() = %v, want %v of %s", err, errBroken, all[1])
	}
	life.End()
	if err := life.Each(t.Context(), all, do, keyed); !errors.Is(err, fs.ErrClosed) || done.Load() != 3 {
		t.Errorf("Each(after the end) = %v after %d more digests, want %v after none", err, done.Load()-3, fs.ErrClosed)
	}
}

func TestPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		if err := calls.Pause(t.Context(), time.Hour); err != nil || time.Since(began) != time.Hour {
			t.Errorf("Pause(1h) = %v after %v, want nil after an hour", err, time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := calls.Pause(ctx, time.Hour); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Hour+time.Minute {
			t.Errorf("Pause(1h) = %v after %v, want %v after a minute", err, time.Since(began)-time.Hour, context.DeadlineExceeded)
		}
	})
}

func TestRefusal(t *testing.T) {
	for _, test := range []struct {
		want                                              string
		answer, code, message, request, credentials, hint string
	}{
		{"host answered 403 Forbidden", "host answered 403 Forbidden", "", "", "", "", ""},
		{"host answered 403: Denied: no (request 7); credentials: a file; log in", "host answered 403", "Denied", "no", "7", "a file", "log in"},
		{"host answered 404: nothing here; look elsewhere", "host answered 404", "", "nothing here", "", "", "look elsewhere"},
	} {
		got := calls.Refusal(test.answer, test.code, test.message, test.request, test.credentials, test.hint)
		if got != test.want {
			t.Errorf("Refusal() = %q, want %q", got, test.want)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, "-7": 0, "soon": 0,
		now.Add(time.Minute).Format(http.TimeFormat):  time.Minute,
		now.Add(-time.Minute).Format(http.TimeFormat): 0,
	} {
		if got := calls.RetryAfter(http.Header{"Retry-After": {value}}, now); got != want {
			t.Errorf("RetryAfter(%q) = %v, want %v", value, got, want)
		}
	}
}

func TestOneLine(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "as it is": "as it is", " two\r\n\tlines ": "two lines", "\x1b[2Jgone": "[2Jgone",
	} {
		if got := calls.OneLine(text); got != want {
			t.Errorf("OneLine(%q) = %q, want %q", text, got, want)
		}
	}
	if got := calls.OneLine(strings.Repeat("é", 1000)); len(got) > 1<<10+len("…") || !utf8.ValidString(got) || !strings.HasSuffix(got, "…") {
		t.Errorf("OneLine(2,000 bytes) has %d bytes, want about 1,024 that are UTF-8 and say that they are cut", len(got))
	}
}
