package azblob

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/larder-build/larder/backend"
)

// The attributes of credentials.
const (
	attrKey              = "secret_access_key"
	attrSAS              = "sas_token"
	attrConnectionString = "connection_string"
)

// choice is what a location, an application or the environment says about
// credentials. Without key and SAS it means tokens.
type choice struct {
	key, sas string
	// endpoint and account are those of a connection string.
	endpoint, account string
	source, setting   string
}

// credential returns the credentials that were given, of which there may be
// one, or those that the environment has.
func (o Options) credential() (choice, error) {
	var given []choice
	if o.Credential != nil {
		given = append(given, choice{source: "the application's token credential", setting: "Credential"})
	}
	if o.AccountKey != "" {
		given = append(given, choice{key: o.AccountKey, source: "account key of attribute " + attrKey, setting: attrKey})
	}
	if o.SAS != "" {
		given = append(given, choice{sas: o.SAS, source: "SAS of attribute " + attrSAS, setting: attrSAS})
	}
	if o.ConnectionString != "" {
		c, err := parseConnectionString(o.ConnectionString)
		if err != nil {
			return choice{}, invalid(attrConnectionString, err)
		}
		c.source, c.setting = "attribute "+attrConnectionString, attrConnectionString
		given = append(given, c)
	}
	switch len(given) {
	case 0:
		return o.fromEnvironment()
	case 1:
		return given[0], nil
	}
	return choice{}, fmt.Errorf("%w: credentials are given twice, as %s and %s; want one", backend.ErrInvalid, given[0].setting, given[1].setting)
}

// fromEnvironment returns the credentials in the variables of Azure's command
// line, as far as they are for this account, or else Azure's own chain.
func (o Options) fromEnvironment() (choice, error) {
	chain := choice{
		source:  "Azure's default chain (environment, workload identity, managed identity, developer tools)",
		setting: attrKey,
	}
	if o.Getenv == nil {
		return chain, nil
	}
	if text := o.Getenv("AZURE_STORAGE_CONNECTION_STRING"); text != "" {
		c, err := parseConnectionString(text)
		if err != nil {
			return choice{}, fmt.Errorf("environment variable AZURE_STORAGE_CONNECTION_STRING: %w", err)
		}
		if o.AccountURL == "" || sameURL(o.AccountURL, c.endpoint) {
			c.source, c.setting = "environment variable AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_CONNECTION_STRING"
			return c, nil
		}
	}
	if !o.names(o.Getenv("AZURE_STORAGE_ACCOUNT")) {
		return chain, nil
	}
	c := choice{sas: o.Getenv("AZURE_STORAGE_SAS_TOKEN"), source: "environment variable AZURE_STORAGE_SAS_TOKEN", setting: "AZURE_STORAGE_SAS_TOKEN"}
	if c.sas != "" {
		return c, nil
	}
	c = choice{key: o.Getenv("AZURE_STORAGE_KEY"), source: "environment variable AZURE_STORAGE_KEY", setting: "AZURE_STORAGE_KEY"}
	if c.key != "" {
		return c, nil
	}
	return chain, nil
}

// names reports whether an account's name is that of the options.
func (o Options) names(account string) bool {
	if account == "" || o.AccountName != "" {
		return account != "" && account == o.AccountName
	}
	u, err := url.Parse(o.AccountURL)
	return err == nil && account == accountOf(u)
}

func sameURL(a, b string) bool { return strings.TrimSuffix(a, "/") == strings.TrimSuffix(b, "/") }

// parseConnectionString reads what Azure's tools call a connection string:
// DefaultEndpointsProtocol=https;AccountName=...;AccountKey=...;EndpointSuffix=core.windows.net.
// No error repeats any of it.
func parseConnectionString(text string) (choice, error) {
	fields := map[string]string{"DefaultEndpointsProtocol": "https", "EndpointSuffix": "core.windows.net"}
	for field := range strings.SplitSeq(strings.Trim(text, ";"), ";") {
		key, value, ok := strings.Cut(field, "=")
		if !ok {
			return choice{}, fmt.Errorf("%w: want KEY=VALUE;KEY=VALUE", backend.ErrInvalid)
		}
		fields[strings.TrimSpace(key)] = value
	}
	if fields["UseDevelopmentStorage"] == "true" {
		return choice{}, fmt.Errorf("%w: UseDevelopmentStorage is not supported, write the emulator's AccountName, AccountKey and BlobEndpoint", backend.ErrInvalid)
	}
	c := choice{account: fields["AccountName"], key: fields["AccountKey"], sas: fields["SharedAccessSignature"], endpoint: fields["BlobEndpoint"]}
	switch {
	case c.key == "" && c.sas == "":
		return choice{}, fmt.Errorf("%w: want an AccountKey or a SharedAccessSignature in it", backend.ErrInvalid)
	case c.key != "":
		c.sas = ""
	}
	if c.endpoint == "" {
		if c.account == "" {
			return choice{}, fmt.Errorf("%w: want an AccountName or a BlobEndpoint in it", backend.ErrInvalid)
		}
		c.endpoint = fields["DefaultEndpointsProtocol"] + "://" + c.account + ".blob." + fields["EndpointSuffix"]
	}
	return c, nil
}
