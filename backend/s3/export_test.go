package s3

// WithMinPart returns the options for a store whose parts may be smaller than
// S3's, so that a test need not move so many bytes.
func (o Options) WithMinPart(n int64) Options {
	o.minPart = n
	return o
}
