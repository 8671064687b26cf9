package main

import (
	"fmt"
	"net"
	"os"
)

// registryToken is distribution with token authentication. Its users are
// "writer" and "reader", both with the password "testbed".
func registryToken() server {
	s := registry()
	s.name = "registry-token"
	s.purpose = "the same with token authentication, users writer and reader, password testbed (LARDER_TEST_REGISTRY_TOKEN=host:port)"
	s.launch = func(s site) (launch, error) {
		issuer, err := newTokenIssuer()
		if err != nil {
			return launch{}, err
		}
		jwks := s.path("jwks.json")
		if err := os.WriteFile(jwks, issuer.jwks(), 0o600); err != nil {
			return launch{}, err
		}
		l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // asks no one
		if err != nil {
			return launch{}, err
		}
		_, port, err := net.SplitHostPort(l.Addr().String())
		if err != nil {
			return launch{}, err
		}
		config := fmt.Sprintf(tokenConfig, port, tokenService, tokenIssuerName, jwks)
		started, err := launchRegistry(s, s.program("registry"), config, "LARDER_TEST_REGISTRY_TOKEN")
		started.beside = issuer.serve(l)
		return started, err
	}
	return s
}

const (
	tokenService    = "testbed-registry"
	tokenIssuerName = "testbed-issuer"
)

// tokenConfig spells the realm's host by name, because go-containerregistry
// takes no realm whose host is a private address.
const tokenConfig = `auth:
  token:
    realm: http://localhost:%s/token
    service: %s
    issuer: %s
    jwks: %q
    signingalgorithms:
      - ES256
`
