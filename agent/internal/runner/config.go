package runner

import (
	"errors"
	"fmt"
	"net/url"
	"sort"
	"strings"
	"time"
)

// DefaultEndpoint is where an API on the agent's own machine is looked for.
const DefaultEndpoint = "http://127.0.0.1:8420"

// DefaultDialect is the dialect of that API.
const DefaultDialect = "grind"

// Config says which API is called, and how.
type Config struct {
	// Endpoint is the base URL, http or https; the dialect adds its own path.
	Endpoint string
	// Dialect is one of Dialects.
	Dialect string
	// Timeout bounds a call, from 0; 0: only the task's attempt_timeout does.
	Timeout time.Duration
	// APIKey is sent as a bearer token; "": no Authorization header.
	APIKey string
	// Version stands in the User-Agent header.
	Version string
	// Now is the wall clock for dates in Retry-After; nil: time.Now.
	Now func() time.Time
}

// Dialects are the names that Config.Dialect may have, sorted.
func Dialects() []string {
	names := make([]string, 0, len(dialects))
	for name := range dialects {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// check returns every fault of c, joined, and the parsed endpoint.
func (c Config) check() (*url.URL, error) {
	endpoint, err := checkEndpoint(c.Endpoint)
	faults := []error{err}
	if dialects[c.Dialect] == nil {
		faults = append(faults, fmt.Errorf("runner: api-dialect %q is unknown; give one of %s",
			c.Dialect, strings.Join(Dialects(), ", ")))
	}
	if c.Timeout < 0 {
		faults = append(faults, fmt.Errorf("runner: api-timeout %v is negative; give 0s for the task's own, or more", c.Timeout))
	}
	if strings.ContainsFunc(c.APIKey, func(r rune) bool { return r < ' ' || r > '~' }) {
		faults = append(faults, errors.New("runner: the API key has characters that no header can carry; give printable ASCII on one line"))
	}
	return endpoint, errors.Join(faults...)
}

// checkEndpoint does not repeat the value where it may hold a password.
func checkEndpoint(endpoint string) (*url.URL, error) {
	u, err := url.Parse(endpoint)
	switch {
	case err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "":
		if strings.Contains(endpoint, "@") {
			endpoint = "(not shown, it may hold a password)"
		}
		return nil, fmt.Errorf("runner: api-endpoint %q is no http address; give a URL such as %s", endpoint, DefaultEndpoint)
	case u.User != nil:
		return nil, fmt.Errorf("runner: api-endpoint %s://(...)@%s holds a user; give the key by file or environment", u.Scheme, u.Host)
	case u.Fragment != "":
		return nil, fmt.Errorf("runner: api-endpoint %q has a fragment, which is never sent; leave out the part from #", endpoint)
	}
	return u, nil
}
