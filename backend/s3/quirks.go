package s3

import (
	"net/url"
	"strings"
)

// Quirks returns the names of the stores whose differences from S3 are known.
//
//   - aws: S3 itself.
//   - minio: conditional deletes are ignored.
//   - gcs: Google Cloud Storage. A signature must not cover Accept-Encoding
//     (aws/aws-sdk-go-v2#1816), conditions are those of another protocol, and
//     objects are deleted one by one.
//   - r2: Cloudflare R2. The region is auto and parts have to be of equal size,
//     as they are everywhere.
//   - ceph: the gateway of Ceph, and what is built on it.
//   - generic: any other; nothing is relied on that only some have.
//
// All of them are sent neither trailing checksums nor a checksum of their own
// making, which several refuse (aws/aws-sdk-go-v2#3469): what arrives is checked
// by the signature, by the digest, or both.
func Quirks() []string { return []string{"aws", "minio", "gcs", "r2", "ceph", "generic"} }

// quirks is how a store differs from others.
type quirks struct {
	name   string
	region string // if none is given and the endpoint does not say
	// host says that the bucket is a part of the host.
	host bool
	// verifies says that the store is known to check the hash of the payload.
	verifies bool
	// conditions says that writes obey conditions; probe, that this is to be
	// found out before it is relied on; deletes, that so do deletes.
	conditions, probe, deletes bool
	// plainEncoding says that signatures must not cover Accept-Encoding.
	plainEncoding bool
	// single says that objects are deleted one by one.
	single bool
}

func quirksOf(name string) (quirks, bool) {
	switch name {
	case "aws":
		return quirks{name: name, host: true, verifies: true, conditions: true, deletes: true}, true
	case "minio":
		return quirks{name: name, verifies: true, conditions: true, probe: true}, true
	case "gcs":
		return quirks{name: name, region: "auto", plainEncoding: true, single: true}, true
	case "r2":
		return quirks{name: name, region: "auto", conditions: true}, true
	case "ceph", "generic":
		return quirks{name: name, conditions: true, probe: true}, true
	default:
		return quirks{}, false
	}
}

// guessQuirks returns the name of the store that an endpoint looks like.
func guessQuirks(endpoint string) string {
	if endpoint == "" {
		return "aws"
	}
	u, err := url.Parse(endpoint)
	if err != nil {
		return "generic"
	}
	host := strings.ToLower(u.Hostname())
	within := func(domain string) bool { return host == domain || strings.HasSuffix(host, "."+domain) }
	switch {
	case within("amazonaws.com"), within("amazonaws.com.cn"):
		return "aws"
	case within("storage.googleapis.com"), strings.HasPrefix(host, "storage.") && within("googleapis.com"):
		return "gcs"
	case within("r2.cloudflarestorage.com"):
		return "r2"
	case strings.Contains(host, "minio"):
		return "minio"
	case strings.Contains(host, "ceph"), strings.HasPrefix(host, "rgw"):
		return "ceph"
	default:
		return "generic"
	}
}

// regionOf returns the region in an endpoint of AWS, such as
// https://s3.eu-west-1.amazonaws.com, or "".
func regionOf(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil {
		return ""
	}
	labels := strings.Split(strings.ToLower(u.Hostname()), ".")
	for i, label := range labels {
		if label == "amazonaws" && i > 0 && strings.Count(labels[i-1], "-") >= 2 {
			return labels[i-1]
		}
	}
	return ""
}
