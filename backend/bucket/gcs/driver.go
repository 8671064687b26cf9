package gcs

import (
	"context"
	"errors"
	"strconv"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/bucket"
)

// driverName is the type of locations in Google Cloud Storage.
const driverName = "gs"

// Driver returns the driver of locations such as
//
//	type=gs,bucket=my-caches,prefix=app/,name=main
//	gs://my-caches/app/?name=main
//
// The attributes that type=s3 has too mean the same here. endpoint_url,
// credentials_file, anonymous and user_project are fields of [Options].
func Driver() backend.Driver { return DriverWith(Options{}) }

// DriverWith returns the driver with options that a location cannot spell, such
// as a client. What a location or the Mux says comes before them.
func DriverWith(defaults Options) backend.Driver {
	s := bucket.Scheme{Type: driverName, Params: []backend.Attr{
		{Name: "endpoint_url", Check: checkEndpoint, Env: []string{"STORAGE_EMULATOR_HOST"}},
		{Name: "credentials_file"},
		{Name: "anonymous", Check: backend.Bool},
		{Name: "user_project"},
	}}
	return bucket.DriverFunc(s, func(ctx context.Context, l backend.Location, o backend.OpenOptions, told bucket.Options) (*bucket.Backend, error) {
		return Open(ctx, defaults.with(l, o, told))
	})
}

// with returns the options with what a location and the Mux say.
func (o Options) with(l backend.Location, mux backend.OpenOptions, told bucket.Options) Options {
	o.Bucket, o.Location, o.Now = l.Value("bucket"), told.Location, told.Now
	o.Prefix, o.ManifestsPrefix, o.BlobsPrefix = told.Prefix, told.ManifestsPrefix, told.BlobsPrefix
	if o.RefreshAge == 0 {
		o.RefreshAge = told.RefreshAge
	}
	if mux.Transport != nil {
		o.Transport = mux.Transport
	}
	for name, field := range map[string]*string{
		"endpoint_url": &o.Endpoint, "credentials_file": &o.CredentialsFile, "user_project": &o.UserProject,
	} {
		if value := l.Value(name); value != "" {
			*field = value
		}
	}
	if anonymous := l.Value("anonymous"); anonymous != "" {
		o.Anonymous, _ = strconv.ParseBool(anonymous) // checked with the location
	}
	return o
}

func checkEndpoint(value string) error {
	if _, err := parseEndpoint(value); err != nil {
		return errors.New("want https://host, or host:port of an emulator")
	}
	return nil
}

// place returns the location of a bucket, without a ref.
func place(opts Options) string {
	m := &backend.Mux{}
	m.Register(Driver())
	attrs := map[string]string{"bucket": opts.Bucket}
	for name, value := range map[string]string{"prefix": opts.Prefix, "endpoint_url": opts.Endpoint} {
		if value != "" {
			attrs[name] = value
		}
	}
	for name, value := range map[string]*string{"manifests_prefix": opts.ManifestsPrefix, "blobs_prefix": opts.BlobsPrefix} {
		if value != nil {
			attrs[name] = *value
		}
	}
	// A bucket that cannot be written as a location has none to report.
	l, _ := m.Make(driverName, attrs)
	return l.String()
}
