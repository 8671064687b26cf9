package backend_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder/backend"
)

func TestClockFinding(t *testing.T) {
	const limit = 15 * time.Minute
	now := time.Date(2026, 1, 2, 3, 4, 5, 999_000_000, time.UTC)
	for _, tt := range []struct {
		name   string
		ahead  time.Duration
		limit  time.Duration
		status backend.FindingStatus
		detail string
	}{
		{"equal", 0, limit, backend.FindingOK, "agrees with the store's"},
		{"the header has whole seconds", time.Minute - time.Second, limit, backend.FindingOK, "agrees with the store's"},
		{"ahead", 2 * time.Minute, limit, backend.FindingWarning, "ours is 2m0s ahead of the store's"},
		{"behind", -2 * time.Minute, limit, backend.FindingWarning, "ours is 2m0s behind the store's"},
		{
			"too far", -16 * time.Minute, limit, backend.FindingFailed,
			"ours is 16m0s behind the store's, which refuses requests that are off by more than 15m0s",
		},
		{"no limit", 24 * time.Hour, 0, backend.FindingWarning, "ours is 24h0m0s ahead of the store's"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want := backend.Finding{Check: "clock", Status: tt.status, Detail: tt.detail}
			if tt.status != backend.FindingOK {
				want.Remedy = "set the clock of this machine, by NTP for example"
			}
			got := backend.ClockFinding(now.Add(-tt.ahead), now, tt.limit)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("ClockFinding (-want +got):\n%s", diff)
			}
		})
	}
}
