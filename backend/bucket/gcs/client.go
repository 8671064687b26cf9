package gcs

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"cloud.google.com/go/auth"
	"cloud.google.com/go/auth/credentials"
	"cloud.google.com/go/auth/httptransport"
	"cloud.google.com/go/storage"
	"google.golang.org/api/option"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/internal/calls"
)

// connect returns the client of the options, and puts down in s where it leads
// and with whose credentials.
func (s *service) connect(ctx context.Context, opts Options) (*storage.Client, error) {
	endpoint, err := parseEndpoint(opts.Endpoint)
	if err != nil {
		return nil, err
	}
	s.endpoint = endpoint
	if opts.Client != nil {
		s.source = "those of the client that was given"
		return opts.Client, nil
	}
	creds, err := s.findCredentials(opts)
	if err != nil {
		return nil, err
	}
	s.transport = &transport{own: calls.NewTransport(opts.Transport, nil), project: opts.UserProject}
	client := &http.Client{Transport: s.transport.own}
	if creds != nil {
		client, err = httptransport.NewClient(&httptransport.Options{
			Credentials: creds, BaseRoundTripper: s.transport.own, DisableTelemetry: true,
		})
		if err != nil {
			return nil, err
		}
	}
	s.transport.next, client.Transport = client.Transport, s.transport
	return storage.NewClient(
		ctx,
		option.WithHTTPClient(client),
		option.WithoutAuthentication(), // the client authenticates
		option.WithEndpoint(endpoint.String()+"/storage/v1/"),
		storage.WithJSONReads(), // whose errors say more, and which ask for no certain host
	)
}

// findCredentials returns the credentials of the options, nil for none.
func (s *service) findCredentials(opts Options) (*auth.Credentials, error) {
	detect := &credentials.DetectOptions{Scopes: []string{storage.ScopeFullControl}}
	switch {
	case opts.Anonymous:
		s.source = "none, as told by anonymous"
		return nil, nil
	case s.endpoint.Scheme == "http":
		s.source = "none, over plain HTTP"
		return nil, nil
	case opts.Credentials != nil:
		s.source = "those that the program was given"
		return opts.Credentials, nil
	case opts.CredentialsFile != "":
		s.source = "file " + opts.CredentialsFile
		return readCredentials(opts.CredentialsFile, detect)
	}
	found, err := credentials.DetectDefault(detect)
	if err != nil {
		return nil, fmt.Errorf("%w: %w; log in with gcloud auth application-default login, set GOOGLE_APPLICATION_CREDENTIALS or "+
			"the attribute credentials_file to a file of credentials, or set anonymous=true for a public bucket", backend.ErrDenied, err)
	}
	s.source = "application default credentials" + whose(found.JSON())
	return found, nil
}

// readCredentials reads a file of credentials of any type: whoever may name the
// file is trusted to know what is in it.
func readCredentials(file string, detect *credentials.DetectOptions) (*auth.Credentials, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("credentials_file: %w", err)
	}
	var head struct{ Type credentials.CredType }
	if err := json.Unmarshal(data, &head); err != nil || head.Type == "" {
		return nil, fmt.Errorf("%w: credentials_file %s is not a JSON file of credentials", backend.ErrInvalid, file)
	}
	creds, err := credentials.NewCredentialsFromJSON(head.Type, data, detect)
	if err != nil {
		return nil, fmt.Errorf("%w: credentials_file %s: %w", backend.ErrInvalid, file, err)
	}
	return creds, nil
}

// whose says what kind of credentials these are, and whose, as far as that is
// no secret.
func whose(data []byte) string {
	var head struct {
		Type  credentials.CredType
		Email string `json:"client_email"`
	}
	if json.Unmarshal(data, &head) != nil || head.Type == "" {
		return " of the metadata server"
	}
	return " (" + strings.TrimSpace(string(head.Type)+" "+head.Email) + ")"
}

// transport counts requests, as those of this backend, and looks at the clock
// of the service.
type transport struct {
	own      *calls.Transport
	next     http.RoundTripper // own, or what authenticates before it
	project  string            // that pays for requests, or ""
	clock    atomic.Pointer[clock]
	accepted atomic.Bool // whether the service has taken our credentials
}

// clock is the time that the service told, and ours then.
type clock struct{ theirs, ours time.Time }

// RoundTrip implements [http.RoundTripper].
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	backend.TraceRequest(req.Context(), operation(req))
	if t.project != "" {
		req = req.Clone(req.Context())
		req.Header.Set("X-Goog-User-Project", t.project)
	}
	resp, err := t.next.RoundTrip(req)
	if err == nil {
		if resp.StatusCode != http.StatusUnauthorized && resp.StatusCode < http.StatusInternalServerError {
			t.accepted.Store(true)
		}
		if date, bad := http.ParseTime(resp.Header.Get("Date")); bad == nil {
			t.clock.Store(&clock{theirs: date, ours: time.Now()})
		}
	}
	return resp, err
}

// operation names a request of the JSON API.
func operation(req *http.Request) string {
	path := req.URL.Path
	switch {
	case req.Method == http.MethodDelete:
		return "delete"
	case req.Method != http.MethodGet && strings.Contains(path, "/rewriteTo/"):
		return "copy"
	case req.Method != http.MethodGet:
		return "put"
	case req.URL.Query().Get("alt") == "media":
		return "get"
	case strings.HasSuffix(path, "/o"):
		return "list"
	default:
		return "head"
	}
}
