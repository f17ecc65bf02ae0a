package client

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
)

// DefaultCoordinator is where a coordinator listens by default.
const DefaultCoordinator = "127.0.0.1:7070"

const (
	// pingAfter and pingTimeout find a dead link under a long wait; the coordinator allows a ping each 10 s.
	pingAfter   = 30 * time.Second
	pingTimeout = 10 * time.Second
)

// Dial prepares a plain-text connection to the first of the addresses, HOST:PORT separated by commas, that answers. It
// connects at the first call. The error names an address that can't be one. The caller closes the connection.
func Dial(addresses string) (*grpc.ClientConn, error) {
	list, err := splitAddresses(addresses)
	if err != nil {
		return nil, err
	}
	state := resolver.State{}
	for _, address := range list {
		state.Addresses = append(state.Addresses, resolver.Address{Addr: address})
	}
	// A resolver of our own for one address or many: pick_first, the default, tries them in order.
	fixed := manual.NewBuilderWithScheme("stint")
	fixed.InitialState(state)
	conn, err := grpc.NewClient("stint:///"+list[0],
		grpc.WithResolvers(fixed),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: pingAfter, Timeout: pingTimeout}),
	)
	if err != nil {
		return nil, fmt.Errorf("client: coordinator %q can't be dialled: %w; give HOST:PORT such as %s", addresses, err, DefaultCoordinator)
	}
	return conn, nil
}

func splitAddresses(addresses string) ([]string, error) {
	var list []string
	for address := range strings.SplitSeq(addresses, ",") {
		address = strings.TrimSpace(address)
		host, port, err := net.SplitHostPort(address)
		if err == nil && host != "" {
			_, err = strconv.ParseUint(port, 10, 16)
		}
		if err != nil || host == "" || port == "0" {
			return nil, fmt.Errorf("client: coordinator %q is no address; give HOST:PORT such as %s, several separated by commas",
				address, DefaultCoordinator)
		}
		list = append(list, address)
	}
	return list, nil
}
