package azblob

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/larder-build/larder/backend"
)

// account is where an account is, and what opens it.
type account struct {
	url    *url.URL // without a query
	name   string
	key    *blob.SharedKeyCredential // or
	sas    url.Values                // or
	tokens azcore.TokenCredential    // or Azure's own chain
	source string                    // where the credentials have come from
	// setting is the attribute or variable that they have come in.
	setting string
}

// checkAccountURL accepts the URL of an account. Without a scheme it would be
// taken for a path (moby/buildkit#4423).
func checkAccountURL(value string) error {
	if err := backend.HTTPURL(value); err != nil {
		return errors.New("want a URL such as https://ACCOUNT.blob.core.windows.net, without user information, query and fragment")
	}
	return nil
}

// checkSAS accepts a shared access signature.
func checkSAS(value string) error {
	q, err := url.ParseQuery(strings.TrimPrefix(value, "?"))
	if err != nil || q.Get("sig") == "" || q.Get("sv") == "" {
		return errors.New("want the query of a shared access signature, with sv= and sig=")
	}
	return nil
}

// findAccount finds out which account is meant, and which credentials.
func findAccount(o Options) (account, error) {
	choice, err := o.credential()
	if err != nil {
		return account{}, err
	}
	where := cmp.Or(o.AccountURL, choice.endpoint)
	if where == "" {
		return account{}, fmt.Errorf("%w: attribute account_url is missing, want a URL such as https://ACCOUNT.blob.core.windows.net", backend.ErrInvalid)
	}
	if err := checkAccountURL(where); err != nil {
		return account{}, invalid("account_url", err)
	}
	u, err := url.Parse(strings.TrimSuffix(where, "/"))
	if err != nil {
		return account{}, invalid("account_url", errors.New("want a URL"))
	}
	a := account{url: u, name: cmp.Or(o.AccountName, choice.account, accountOf(u)), source: choice.source, setting: choice.setting, tokens: o.Credential}
	switch {
	case choice.key != "":
		if a.name == "" {
			return account{}, fmt.Errorf("%w: attribute account_name is missing, and account_url does not name the account", backend.ErrInvalid)
		}
		if a.key, err = blob.NewSharedKeyCredential(a.name, choice.key); err != nil {
			return account{}, invalid(choice.setting, errors.New("want an account key in base64"))
		}
	case choice.sas != "":
		if err := checkSAS(choice.sas); err != nil {
			return account{}, invalid(choice.setting, err)
		}
		a.sas, _ = url.ParseQuery(strings.TrimPrefix(choice.sas, "?")) // has just been parsed
	}
	return a, nil
}

// accountOf returns the name of the account in its URL, or "".
func accountOf(u *url.URL) string {
	if path := strings.Trim(u.Path, "/"); path != "" {
		first, _, _ := strings.Cut(path, "/")
		return first
	}
	if net.ParseIP(u.Hostname()) != nil {
		return ""
	}
	label, _, _ := strings.Cut(u.Hostname(), ".")
	return strings.TrimSuffix(label, "-secondary")
}

// client returns a client of a container.
func (a account) client(name string, t *transport) (*container.Client, error) {
	opts := &container.ClientOptions{ClientOptions: clientOptions(t)}
	opts.ExpectContinueBehavior.Mode = blob.ExpectContinueModeOff
	where := a.url.JoinPath(name)
	switch {
	case a.key != nil:
		return container.NewClientWithSharedKeyCredential(where.String(), a.key, opts)
	case a.sas != nil:
		where.RawQuery = a.sas.Encode()
		return container.NewClientWithNoCredential(where.String(), opts)
	}
	if a.url.Scheme != "https" {
		return nil, invalid("account_url", errors.New("want https, because tokens are sent; over plain http only an account key or a SAS is"))
	}
	tokens := a.tokens
	if tokens == nil {
		chain, err := azidentity.NewDefaultAzureCredential(&azidentity.DefaultAzureCredentialOptions{
			ClientOptions: azcore.ClientOptions{Transport: t, Cloud: cloudOf(a.url.Hostname())},
		})
		if err != nil {
			return nil, &tokenError{err}
		}
		tokens = chain
	}
	return container.NewClient(where.String(), tokenCredential{tokens}, opts)
}

// cloudOf returns the cloud that issues tokens for a host; the zero value leaves
// it to the environment, and else is the public one.
func cloudOf(host string) cloud.Configuration {
	switch {
	case strings.HasSuffix(host, ".core.usgovcloudapi.net"):
		return cloud.AzureGovernment
	case strings.HasSuffix(host, ".core.chinacloudapi.cn"):
		return cloud.AzureChina
	default:
		return cloud.Configuration{}
	}
}

// clientOptions are those of a client that repeats nothing: wrappers do.
func clientOptions(t *transport) azcore.ClientOptions {
	return azcore.ClientOptions{
		Transport: t,
		Retry:     policy.RetryOptions{MaxRetries: -1},
		Telemetry: policy.TelemetryOptions{ApplicationID: "larder"},
	}
}

// sasEnd returns when the SAS ends, or the zero time.
func (a account) sasEnd() time.Time {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04Z", time.DateOnly} {
		if end, err := time.Parse(layout, a.sas.Get("se")); err == nil {
			return end
		}
	}
	return time.Time{}
}
