package ghaserver

import (
	"net/http"
	"net/http/httptest"
)

// Local is a service without a network, for tests whose time is not the real one
// (package testing/synctest): it is the transport of its clients.
type Local struct{ *Server }

var _ http.RoundTripper = Local{}

// NewLocal returns such a service. Its URL leads nowhere.
func NewLocal(o Options) Local {
	s := newServer(o)
	s.URL = "http://ghaserver.invalid"
	return Local{s}
}

// RoundTrip implements [http.RoundTripper].
func (l Local) RoundTrip(r *http.Request) (*http.Response, error) {
	in := r.Clone(r.Context())
	in.Host = r.URL.Host
	if r.Body == nil {
		in.Body = http.NoBody
	}
	defer func() { _ = in.Body.Close() }()
	answer := httptest.NewRecorder()
	l.serve(answer, in)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	resp := answer.Result()
	resp.Request = r
	return resp, nil
}
