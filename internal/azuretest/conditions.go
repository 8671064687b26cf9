package azuretest

import (
	"net/http"
	"strings"
)

func conditionNotMet() *Failure {
	return fail(http.StatusPreconditionFailed, "ConditionNotMet", "The condition specified using HTTP conditional header(s) is not met.")
}

// matches reports whether a condition's value is a version of a blob.
func matches(value string, b *blob) bool {
	return b.exists && (value == "*" || value == b.etag)
}

// writable checks the conditions for a blob that is to be written.
func writable(c *call, b *blob) *Failure {
	r := c.r
	if value := r.Header.Get("If-Match"); value != "" && !matches(value, b) {
		return conditionNotMet()
	}
	value := r.Header.Get("If-None-Match")
	if value == "" || !matches(value, b) {
		return overwritable(c, b)
	}
	if value == "*" {
		return fail(http.StatusConflict, "BlobAlreadyExists", "The specified blob already exists.")
	}
	return conditionNotMet()
}

// unchanged checks the conditions for a blob that is to be changed or deleted.
func unchanged(r *http.Request, b *blob) *Failure {
	if value := r.Header.Get("If-Match"); value != "" && !matches(value, b) {
		return conditionNotMet()
	}
	if value := r.Header.Get("If-None-Match"); value != "" && matches(value, b) {
		return conditionNotMet()
	}
	return nil
}

// readable checks the conditions for a blob that is to be read.
func readable(r *http.Request, b *blob) *Failure {
	if value := r.Header.Get("If-Match"); value != "" && !matches(value, b) {
		return conditionNotMet()
	}
	if value := r.Header.Get("If-None-Match"); value != "" && matches(value, b) {
		return fail(http.StatusNotModified, "ConditionNotMet", "")
	}
	return nil
}

// overwritable checks whether a SAS allows more than to create.
func overwritable(c *call, b *blob) *Failure {
	if b.exists && c.query.Has("sig") && !strings.Contains(c.query.Get("sp"), "w") {
		return fail(http.StatusForbidden, "UnauthorizedBlobOverwrite", "This request is not authorized to perform blob overwrites.")
	}
	return nil
}
