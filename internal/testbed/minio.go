package main

import "os"

// minio is a second S3 server, because many run it and it differs: it renews
// an object's time when it is copied onto itself, ignores conditions on
// deletion, and lists incomplete uploads by their whole key alone.
func minio() server {
	return server{
		name:     "minio",
		purpose:  "MinIO, another S3 server (LARDER_TEST_MINIO=http://host:port, the same keys)",
		module:   "minio",
		packages: []string{"github.com/minio/minio"},
		launch: func(s site) (launch, error) {
			data := s.path("data")
			if err := os.Mkdir(data, 0o700); err != nil {
				return launch{}, err
			}
			url := "http://" + s.addr
			return launch{
				argv: []string{s.program("minio"), "server", data, "--address", s.addr, "--quiet"},
				// It makes itself a directory in the home, and its console
				// would listen on every interface.
				env: []string{
					"HOME=" + s.dir,
					"MINIO_ROOT_USER=" + s3AccessKey, "MINIO_ROOT_PASSWORD=" + s3SecretKey,
					"MINIO_BROWSER=off", "MINIO_UPDATE=off",
				},
				ready:   answers(url + "/minio/health/live"),
				environ: []string{"LARDER_TEST_MINIO=" + url},
			}, nil
		},
	}
}
