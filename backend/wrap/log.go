package wrap

import (
	"log/slog"
	"time"
)

// LogTo returns an observer that logs each finished operation, at debug level
// or, if it failed, at warning level, and each retry at info level.
func LogTo(logger *slog.Logger) Observer {
	return Observer{
		Retry: func(c Call, err error, wait time.Duration) {
			logger.Info("retrying", c.attr(), slog.Duration("wait", wait), slog.Any("err", err))
		},
		Done: func(r Result) {
			args := []any{r.attr(), slog.Duration("took", r.Duration), slog.Int64("in", r.BytesIn), slog.Int64("out", r.BytesOut)}
			if r.Err != nil {
				args = append(args, slog.Any("err", r.Err))
			}
			if r.Failed {
				logger.Warn("failed", args...)
				return
			}
			logger.Debug("done", args...)
		},
	}
}

// attr describes a call in a log.
func (c Call) attr() slog.Attr {
	return slog.Group("call", slog.String("driver", c.Driver), slog.String("op", c.Op), slog.String("key", c.Key))
}
