package azblob

import (
	"fmt"
	"strings"
	"time"

	"github.com/larder-build/larder/internal/calls"
)

// hint returns what can be done about a refusal, or "".
func (s *store) hint(code, message string) string {
	a := s.account
	if strings.HasPrefix(message, "Server failed to authenticate") { // Azurite's code is another
		return s.authenticationHint()
	}
	switch code {
	case codeNoContainer:
		if s.opts.CreateContainer {
			return "the first write creates it"
		}
		return fmt.Sprintf("create the container %s, correct the attribute container, or set create_container=true", s.opts.Container)
	case "InvalidResourceName":
		return "correct the attribute container"
	case "KeyBasedAuthenticationNotPermitted":
		return "leave out " + attrKey + ": the account takes tokens only, which Azure's default chain gets"
	case "AuthorizationFailure":
		return "allow this machine in the account's network rules, and see that the credentials are for this container"
	case "AuthorizationPermissionMismatch", "UnauthorizedBlobOverwrite", "InsufficientAccountPermissions":
		if a.sas != nil {
			return fmt.Sprintf("make the SAS in %s with the permissions rwdl: it has %s", a.setting, calls.OneLine(a.sas.Get("sp")))
		}
		return "assign the role Storage Blob Data Contributor for the container"
	case "AuthenticationFailed":
		return s.authenticationHint()
	}
	return ""
}

func (s *store) authenticationHint() string {
	a := s.account
	switch end := a.sasEnd(); {
	case a.key != nil:
		return fmt.Sprintf("see that %s is a key of the account %s, which account_name says otherwise", a.setting, a.name)
	case a.sas != nil && !end.IsZero() && s.opts.Now().After(end):
		return fmt.Sprintf("make a new SAS for %s: it ended at %s", a.setting, end.UTC().Format(time.RFC3339))
	case a.sas != nil:
		return "see that the SAS in " + a.setting + " is whole and for this container"
	default:
		return "see that account_url is right"
	}
}
