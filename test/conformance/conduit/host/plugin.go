package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"strconv"

	"github.com/conduitio/conduit-connector-protocol/pconnector"
	"github.com/conduitio/conduit-connector-protocol/pconnector/client"
	"github.com/conduitio/conduit-connector-protocol/pconnutils"
	"github.com/conduitio/conduit-connector-protocol/pconnutils/v1/server"
	connutilsv1 "github.com/conduitio/conduit-connector-protocol/proto/connutils/v1"
	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
)

// Conduit's own default.
const maxReceiveRecordSize = 4194304

// logger takes the nil that the library gives to it, at which hclog's panics.
type logger struct{ hclog.Logger }

func (l logger) StandardWriter(options *hclog.StandardLoggerOptions) io.Writer {
	if options == nil {
		options = &hclog.StandardLoggerOptions{}
	}
	return l.Logger.StandardWriter(options)
}

func (l logger) StandardLogger(options *hclog.StandardLoggerOptions) *log.Logger {
	return l.Logger.StandardLogger(options)
}

// utilities is the server that plugins call, on both loopback addresses, as [::]:PORT.
type utilities struct {
	*schemas
	target string
	server *grpc.Server
}

func startUtilities(folder string) (*utilities, error) {
	registry, err := openSchemas(folder)
	if err != nil {
		return nil, err
	}
	first, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	port := first.Addr().(*net.TCPAddr).Port
	s := grpc.NewServer()
	connutilsv1.RegisterSchemaServiceServer(s, server.NewSchemaServiceServer(registry))
	go s.Serve(first)
	if second, err := net.Listen("tcp", net.JoinHostPort("::1", strconv.Itoa(port))); err == nil {
		go s.Serve(second)
	}
	return &utilities{schemas: registry, target: fmt.Sprintf("[::]:%d", port), server: s}, nil
}

// process is one launched plugin.
type process struct {
	client *plugin.Client
	rpc    plugin.ClientProtocol
}

// launch starts the executable as Conduit does. `id` is the connector's, of validations one of Conduit's own.
func launch(config Config, id string, utilities *utilities) (*process, error) {
	token, err := json.Marshal(map[string]string{"value": utilities.newToken(), "connector_id": id})
	if err != nil {
		return nil, err
	}
	level := hclog.LevelFromString(config.LogLevel)
	l := logger{hclog.New(&hclog.LoggerOptions{Name: id, Level: level, Output: os.Stderr})}
	utilities.allow(string(token))
	c, err := client.New(l, config.Plugin,
		client.WithEnvVar(pconnutils.EnvConduitConnectorUtilitiesGRPCTarget, utilities.target),
		client.WithEnvVar(pconnutils.EnvConduitConnectorToken, string(token)),
		client.WithEnvVar(pconnector.EnvConduitConnectorID, id),
		client.WithEnvVar(pconnector.EnvConduitConnectorLogLevel, config.LogLevel),
		client.WithEnvVar(pconnector.EnvConduitConnectorMaxReceiveRecordSize, strconv.Itoa(maxReceiveRecordSize)),
	)
	if err != nil {
		return nil, err
	}
	rpc, err := c.Client()
	if err != nil {
		c.Kill()
		return nil, fmt.Errorf("handshake: %w", err)
	}
	return &process{client: c, rpc: rpc}, nil
}

func (p *process) pid() int {
	return p.client.ReattachConfig().Pid
}

// end is Shutdown, two seconds, SIGKILL.
func (p *process) end() {
	p.client.Kill()
}

func (p *process) specifier() (pconnector.SpecifierPlugin, error) {
	return dispense[pconnector.SpecifierPlugin](p, "specifier")
}

func (p *process) source() (source, error) {
	return dispense[source](p, "source")
}

func (p *process) destination() (destination, error) {
	return dispense[destination](p, "destination")
}

type source interface {
	pconnector.SourcePlugin
	NewStream() pconnector.SourceRunStream
}

type destination interface {
	pconnector.DestinationPlugin
	NewStream() pconnector.DestinationRunStream
}

func dispense[T any](p *process, name string) (T, error) {
	var none T
	dispensed, err := p.rpc.Dispense(name)
	if err != nil {
		return none, fmt.Errorf("dispense %s: %w", name, err)
	}
	typed, ok := dispensed.(T)
	if !ok {
		return none, fmt.Errorf("dispense %s: it is a %T", name, dispensed)
	}
	return typed, nil
}
