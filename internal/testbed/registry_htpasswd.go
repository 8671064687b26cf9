package main

import (
	"fmt"
	"os"
)

// registryHtpasswd is distribution behind basic authentication. Its one user
// is "writer" with the password "testbed".
func registryHtpasswd() server {
	s := registry()
	s.name = "registry-htpasswd"
	s.purpose = "the same with basic authentication, user writer, password testbed (LARDER_TEST_REGISTRY_HTPASSWD=host:port)"
	s.launch = func(s site) (launch, error) {
		users := s.path("htpasswd")
		if err := os.WriteFile(users, []byte(htpasswd), 0o600); err != nil {
			return launch{}, err
		}
		return launchRegistry(s, s.program("registry"), fmt.Sprintf(htpasswdConfig, users), "LARDER_TEST_REGISTRY_HTPASSWD")
	}
	return s
}

// htpasswd is made with bcrypt, the only algorithm that distribution knows, at
// a low cost: every request pays it.
const htpasswd = "writer:$2a$05$R/gL3pZjxT8h6oJJwrNk3ujf0fN8E7yddjiEY.zI.PSiU8STOpJoa\n"

const htpasswdConfig = `auth:
  htpasswd:
    realm: testbed
    path: %q
`
