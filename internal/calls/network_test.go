package calls_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/internal/calls"
)

func TestNetworkError(t *testing.T) {
	for _, test := range []struct {
		name      string
		err       error
		temporary bool
		cause     error // that is found in it
	}{
		{"broken", io.ErrUnexpectedEOF, true, io.ErrUnexpectedEOF},
		{"a time-out of the network", context.DeadlineExceeded, true, nil},
		{"canceled by somebody", context.Canceled, true, nil},
		{"a server that does not answer", &net.DNSError{IsTimeout: true}, true, nil},
		{"no such host", &net.DNSError{Name: "nowhere", IsNotFound: true}, false, nil},
		{"certificate", &tls.CertificateVerificationError{Err: io.EOF}, false, io.EOF},
	} {
		got := calls.NetworkError(&url.Error{Op: "Get", URL: "https://a/?sig=canary", Err: &url.Error{Op: "Get", URL: "https://b/?sig=canary", Err: test.err}})
		if got.Temporary != test.temporary || strings.Contains(got.Error(), "canary") {
			t.Errorf("%s: NetworkError() = %q, temporary: %t, want temporary: %t and no URL", test.name, got, got.Temporary, test.temporary)
		}
		if calls.IsEnd(got) || test.cause != nil && !errors.Is(got, test.cause) {
			t.Errorf("%s: NetworkError() looks like the end of a call or hides %v", test.name, test.cause)
		}
	}
}

func TestCertificates(t *testing.T) {
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "good.pem"), filepath.Join(dir, "bad.pem")
	data := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := errors.Join(os.WriteFile(good, data, 0o600), os.WriteFile(bad, []byte("nothing"), 0o600)); err != nil {
		t.Fatal(err)
	}
	pool, err := calls.Certificates(good)
	if err != nil {
		t.Fatalf("Certificates() = %v, want nil", err)
	}
	if _, err := server.Certificate().Verify(x509.VerifyOptions{Roots: pool}); err != nil {
		t.Errorf("Verify() by the authorities of the file = %v, want nil", err)
	}
	if _, err := calls.Certificates(bad); !errors.Is(err, backend.ErrInvalid) {
		t.Errorf("Certificates(no PEM) = %v, want ErrInvalid", err)
	}
	if _, err := calls.Certificates(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Certificates(no file) = %v, want ErrNotExist", err)
	}
}
