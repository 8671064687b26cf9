package harness

import (
	"flag"
	"fmt"
	"regexp"
)

// fullRounds is how often everything is done in the full size.
const fullRounds = 5

// Options are those of the command line that all programs have.
type Options struct {
	// Full asks for the size whose times are compared with goals.
	Full bool
	// Rounds is how often everything is done, at least once.
	Rounds int
	// Only matches the titles of the tasks that are measured, and Without the
	// names of the peers that are left out.
	Only, Without *regexp.Regexp
}

// Parse reads the options, and those that flags has already. The usage of -full
// says what it does.
func Parse(flags *flag.FlagSet, args []string, full string) (o Options, err error) {
	flags.BoolVar(&o.Full, "full", false, full)
	flags.IntVar(&o.Rounds, "rounds", 0, fmt.Sprintf("how often everything is done; 0 means %d times with -full, and once without", fullRounds))
	only := flags.String("only", "", "measure only the tasks whose title matches this regular `expression`")
	without := flags.String("without", "", "leave out the peers whose name matches this regular `expression`")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if o.Rounds <= 0 {
		o.Rounds = 1
		if o.Full {
			o.Rounds = fullRounds
		}
	}
	if o.Only, err = regexp.Compile(*only); err != nil {
		return o, err
	}
	if *without == "" {
		*without = `^\b$` // matches nothing
	}
	o.Without, err = regexp.Compile(*without)
	return o, err
}
