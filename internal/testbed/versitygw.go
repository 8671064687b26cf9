package main

import "os"

// The keys of the S3 servers. They are no secrets: the servers listen on
// 127.0.0.1 and end with the tests.
const (
	s3AccessKey = "testbed"
	s3SecretKey = "testbedsecret"
)

// versitygw is the S3 server that tests rely on: it is maintained, it keeps
// AWS's promises about conditional writes, and it is strict where AWS is. Tests
// create their own buckets.
func versitygw() server {
	return server{
		name:     "versitygw",
		purpose:  "versitygw, S3 over files (LARDER_TEST_VERSITYGW=http://host:port, key " + s3AccessKey + ", secret " + s3SecretKey + ")",
		module:   "versitygw",
		packages: []string{"github.com/versity/versitygw/cmd/versitygw"},
		launch: func(s site) (launch, error) {
			data, users := s.path("data"), s.path("users")
			for _, dir := range []string{data, users} {
				if err := os.Mkdir(dir, 0o700); err != nil {
					return launch{}, err
				}
			}
			url := "http://" + s.addr
			return launch{
				// With a directory of users, even an empty one, an unknown key
				// is answered as AWS does and not with an error of its own.
				argv: []string{
					s.program("versitygw"), "--port", s.addr, "--health", "/health", "--quiet", "--keep-alive",
					"--iam-dir", users, "posix", data,
				},
				env:     []string{"ROOT_ACCESS_KEY=" + s3AccessKey, "ROOT_SECRET_KEY=" + s3SecretKey},
				ready:   answers(url + "/health"),
				environ: []string{"LARDER_TEST_VERSITYGW=" + url},
			}, nil
		},
	}
}
