package main

import (
	"bufio"
	"context"
	"fmt"
	"math"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protowire"
)

const cookie = "204e8e812c3a1bb73b838928c575b42a105dd2e9aa449be481bc4590486df53f"

type plugin struct {
	command    *exec.Cmd
	connection *grpc.ClientConn
	registry   *registry
}

// launch starts the executable and connects, as Conduit does by way of go-plugin: its windows, buffers and limits are
// grpc-go's own.
func launch(w wishes) (*plugin, error) {
	registry, err := startRegistry(w.Schemas)
	if err != nil {
		return nil, err
	}
	command := exec.Command(w.File)
	command.Stderr = os.Stderr
	command.Env = append(os.Environ(),
		"CONDUIT_PLUGIN_MAGIC_COOKIE="+cookie,
		"PLUGIN_PROTOCOL_VERSIONS=1,2",
		"CONDUIT_CONNECTOR_UTILITIES_GRPC_TARGET="+registry.target,
		"CONDUIT_CONNECTOR_TOKEN=token",
		"CONDUIT_CONNECTOR_ID=bench:connector",
		"CONDUIT_CONNECTOR_LOG_LEVEL=warn",
		"CONDUIT_CONNECTOR_MAX_RECEIVE_RECORD_SIZE=4194304",
	)
	output, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	p := &plugin{command: command, registry: registry}
	line, err := bufio.NewReader(output).ReadString('\n')
	parts := strings.Split(strings.TrimSpace(line), "|")
	if err != nil || len(parts) < 4 {
		p.kill()
		return nil, fmt.Errorf("handshake %q: %v", line, err)
	}
	dial := func(ctx context.Context, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, parts[2], parts[3])
	}
	p.connection, err = grpc.NewClient("passthrough:///plugin",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(dial),
		grpc.WithDefaultCallOptions(
			grpc.ForceCodecV2(raw{}), grpc.MaxCallRecvMsgSize(math.MaxInt32), grpc.MaxCallSendMsgSize(math.MaxInt32),
		),
	)
	if err != nil {
		p.kill()
		return nil, err
	}
	return p, nil
}

// configure calls Configure of "SourcePlugin" or "DestinationPlugin", and Open without a position.
func (p *plugin) configure(service string, settings map[string]string) error {
	var request []byte
	for name, value := range settings {
		entry := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), name)
		entry = protowire.AppendString(protowire.AppendTag(entry, 2, protowire.BytesType), value)
		request = appendBytes(request, 1, entry)
	}
	if err := p.call(service, "Configure", request); err != nil {
		return err
	}
	return p.call(service, "Open", nil)
}

func (p *plugin) call(service, method string, request []byte) error {
	var response []byte
	err := p.connection.Invoke(context.Background(), "/connector.v2."+service+"/"+method, request, &response)
	if err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	return nil
}

func (p *plugin) run(service string) (grpc.ClientStream, error) {
	both := &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}
	return p.connection.NewStream(context.Background(), both, "/connector.v2."+service+"/Run")
}

// end tears down and shuts down; gives CPU seconds and the most memory, in MB, of the whole process.
func (p *plugin) end() (float64, float64, error) {
	var response []byte
	// Its answer may be cut by what it asks for.
	_ = p.connection.Invoke(context.Background(), "/plugin.GRPCController/Shutdown", []byte{}, &response)
	if err := p.command.Wait(); err != nil {
		return 0, 0, err
	}
	state := p.command.ProcessState
	usage := state.SysUsage().(*syscall.Rusage)
	return (state.UserTime() + state.SystemTime()).Seconds(), float64(usage.Maxrss) / 1024, nil
}

func (p *plugin) kill() {
	_ = p.command.Process.Kill()
	_ = p.command.Wait()
}
