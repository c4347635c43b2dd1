package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/conduitio/conduit-connector-protocol/pconnector"
)

const progressEvery = 50 * time.Millisecond

// run is a pipeline from its start until SIGTERM, or until it fails.
func run(c Config) error {
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, syscall.SIGTERM)
	kept, err := openStore(c.Folder)
	if err != nil {
		return err
	}
	utilities, err := startUtilities(c.Folder)
	if err != nil {
		return err
	}
	p, err := newPipeline(c, kept)
	if err != nil {
		return err
	}
	var processes []*process
	end := func() {
		for _, one := range processes {
			one.end()
		}
	}
	begin := time.Now()
	pids, err := start(c, p, utilities, func(one *process) { processes = append(processes, one) })
	if err != nil {
		tearDown(p)
		end()
		return err
	}
	pids["position"] = string(kept.Position)
	tell("running", pids)
	answer, err := watch(p, interrupted)
	torn := tearDown(p)
	seconds := time.Since(begin).Seconds()
	ended := time.Now()
	end()
	if err := errors.Join(err, torn); err != nil {
		return err
	}
	facts := p.counts()
	facts["stop"] = string(answer)
	facts["last"] = string(p.last)
	facts["seconds"] = seconds
	facts["endSeconds"] = time.Since(ended).Seconds()
	facts["schemasCreated"], facts["schemasGot"] = utilities.created, utilities.got
	facts["cpu"], facts["pluginCpu"], facts["pluginRssMB"] = usage()
	tell("stopped", facts)
	return nil
}

func start(c Config, p *pipeline, utilities *utilities, launched func(*process)) (map[string]any, error) {
	ctx := context.Background()
	pids := map[string]any{}
	reader := reader{schemas: utilities.schemas}
	sourceProcess, err := launch(c, c.Pipeline+":source", utilities)
	if err != nil {
		return nil, fmt.Errorf("source: %w", err)
	}
	launched(sourceProcess)
	pids["sourcePid"] = sourceProcess.pid()
	if p.source, err = sourceProcess.source(); err != nil {
		return nil, err
	}
	if _, err := p.source.Configure(ctx, pconnector.SourceConfigureRequest{Config: c.Source}); err != nil {
		return nil, fmt.Errorf("source: configure: %w", err)
	}
	err = lifecycle(p.store.Source, c.Source, func() error {
		_, err := p.source.LifecycleOnCreated(ctx, pconnector.SourceLifecycleOnCreatedRequest{Config: c.Source})
		return err
	}, func() error {
		_, err := p.source.LifecycleOnUpdated(ctx, pconnector.SourceLifecycleOnUpdatedRequest{
			ConfigBefore: p.store.Source, ConfigAfter: c.Source,
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("source: lifecycle: %w", err)
	}
	if c.Destination != nil {
		process, err := launch(c, c.Pipeline+":destination", utilities)
		if err != nil {
			return nil, fmt.Errorf("destination: %w", err)
		}
		launched(process)
		pids["destinationPid"] = process.pid()
		if err := startDestination(c, p, process); err != nil {
			return nil, fmt.Errorf("destination: %w", err)
		}
	} else if c.Output != "" {
		if p.sink, err = openFileSink(c.Output, reader, p.answers); err != nil {
			return nil, err
		}
	} else {
		p.sink = &dropSink{reader: reader, decode: c.Decode, answers: p.answers}
	}
	if _, err := p.source.Open(ctx, pconnector.SourceOpenRequest{Position: p.store.Position}); err != nil {
		return nil, fmt.Errorf("source: open: %w", err)
	}
	p.store.Source, p.store.Destination = c.Source, c.Destination
	if err := p.store.save(); err != nil {
		return nil, err
	}
	return pids, p.begin()
}

func startDestination(c Config, p *pipeline, process *process) error {
	ctx := context.Background()
	d, err := process.destination()
	if err != nil {
		return err
	}
	if _, err := d.Configure(ctx, pconnector.DestinationConfigureRequest{Config: c.Destination}); err != nil {
		return fmt.Errorf("configure: %w", err)
	}
	err = lifecycle(p.store.Destination, c.Destination, func() error {
		_, err := d.LifecycleOnCreated(ctx, pconnector.DestinationLifecycleOnCreatedRequest{Config: c.Destination})
		return err
	}, func() error {
		_, err := d.LifecycleOnUpdated(ctx, pconnector.DestinationLifecycleOnUpdatedRequest{
			ConfigBefore: p.store.Destination, ConfigAfter: c.Destination,
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("lifecycle: %w", err)
	}
	failed := func(err error) { p.fail(fmt.Errorf("destination: %w", err)) }
	s, err := openPluginSink(d, c.Engine == "v1", p.answers, failed)
	if err != nil {
		return err
	}
	p.sink = s
	return nil
}

// watch tells how far it is, until it is to stop; gives what Stop answered.
func watch(p *pipeline, interrupted <-chan os.Signal) ([]byte, error) {
	told := -1
	ticks := time.NewTicker(progressEvery)
	defer ticks.Stop()
	for {
		select {
		case <-interrupted:
			return p.stop()
		case <-ticks.C:
			facts := p.counts()
			p.mutex.Lock()
			failure, acked := p.failure, p.acked
			p.mutex.Unlock()
			if failure != nil {
				return nil, failure
			}
			if told != acked {
				tell("progress", facts)
			}
			told = acked
			if p.config.Until > 0 && acked >= p.config.Until {
				return p.stop()
			}
		}
	}
}

func (p *pipeline) counts() map[string]any {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return map[string]any{"records": p.received, "acked": p.acked, "nacked": p.nacked}
}

// tearDown is called in every state, too, when something has failed.
func tearDown(p *pipeline) error {
	if p.cancel != nil {
		p.cancel()
	}
	var sourceError, sinkError error
	if p.source != nil {
		_, sourceError = p.source.Teardown(context.Background(), pconnector.SourceTeardownRequest{})
	}
	if p.sink != nil {
		sinkError = p.sink.end()
	}
	return errors.Join(sourceError, sinkError)
}

// usage is CPU seconds of the host, of the plugins that have ended, and the largest plugin's memory.
func usage() (float64, float64, float64) {
	var self, children syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &self)
	_ = syscall.Getrusage(syscall.RUSAGE_CHILDREN, &children)
	return seconds(self), seconds(children), float64(children.Maxrss) / 1024
}

func seconds(one syscall.Rusage) float64 {
	return float64(one.Utime.Nano()+one.Stime.Nano()) / 1e9
}
