package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/conduitio/conduit-commons/config"
	"github.com/conduitio/conduit-connector-protocol/pconnector"
)

// withProcess is for what Conduit asks of a short-lived process.
func withProcess(c Config, id string, use func(*process) error) error {
	utilities, err := startUtilities(c.Folder)
	if err != nil {
		return err
	}
	process, err := launch(c, id, utilities)
	if err != nil {
		return err
	}
	defer process.end()
	return use(process)
}

func specify(c Config) error {
	return withProcess(c, "load-specifications", func(p *process) error {
		specifier, err := p.specifier()
		if err != nil {
			return err
		}
		answer, err := specifier.Specify(context.Background(), pconnector.SpecifierSpecifyRequest{})
		if err != nil {
			return err
		}
		s := answer.Specification
		tell("specification", map[string]any{
			"name": s.Name, "version": s.Version, "summary": s.Summary, "description": s.Description, "author": s.Author,
			"source": parameters(s.SourceParams), "destination": parameters(s.DestinationParams),
		})
		return nil
	})
}

func parameters(all config.Parameters) map[string]any {
	listed := map[string]any{}
	for name, one := range all {
		validations := []string{}
		for _, validation := range one.Validations {
			validations = append(validations, fmt.Sprintf("%v %s", validation.Type(), validation.Value()))
		}
		listed[name] = map[string]any{
			"type": one.Type.String(), "default": one.Default, "description": one.Description, "validations": validations,
		}
	}
	return listed
}

// validate is what Conduit does when a user has written settings: its own checks, then Configure and Teardown.
func validate(c Config) error {
	if c.Source != nil {
		err := withProcess(c, "validate-source-config", func(p *process) error { return validateSource(c, p) })
		if err != nil {
			return fmt.Errorf("source: %w", err)
		}
	}
	if c.Destination != nil {
		err := withProcess(c, "validate-destination-config", func(p *process) error { return validateDestination(c, p) })
		if err != nil {
			return fmt.Errorf("destination: %w", err)
		}
	}
	tell("valid", nil)
	return nil
}

func validateSource(c Config, p *process) error {
	ctx := context.Background()
	s, err := p.source()
	if err != nil {
		return err
	}
	_, err = s.Configure(ctx, pconnector.SourceConfigureRequest{Config: c.Source})
	_, torn := s.Teardown(ctx, pconnector.SourceTeardownRequest{})
	return errors.Join(err, torn)
}

func validateDestination(c Config, p *process) error {
	ctx := context.Background()
	d, err := p.destination()
	if err != nil {
		return err
	}
	_, err = d.Configure(ctx, pconnector.DestinationConfigureRequest{Config: c.Destination})
	_, torn := d.Teardown(ctx, pconnector.DestinationTeardownRequest{})
	return errors.Join(err, torn)
}

// deleted is what Conduit does when the connectors of a pipeline are deleted: a new process, no Configure.
func deleted(c Config) error {
	ctx := context.Background()
	kept, err := openStore(c.Folder)
	if err != nil {
		return err
	}
	if kept.Source != nil {
		err := withProcess(c, c.Pipeline+":source", func(p *process) error {
			s, err := p.source()
			if err != nil {
				return err
			}
			_, err = s.LifecycleOnDeleted(ctx, pconnector.SourceLifecycleOnDeletedRequest{Config: kept.Source})
			_, torn := s.Teardown(ctx, pconnector.SourceTeardownRequest{})
			return errors.Join(err, torn)
		})
		if err != nil {
			return fmt.Errorf("source: %w", err)
		}
	}
	if kept.Destination != nil {
		err := withProcess(c, c.Pipeline+":destination", func(p *process) error {
			d, err := p.destination()
			if err != nil {
				return err
			}
			_, err = d.LifecycleOnDeleted(ctx, pconnector.DestinationLifecycleOnDeletedRequest{Config: kept.Destination})
			_, torn := d.Teardown(ctx, pconnector.DestinationTeardownRequest{})
			return errors.Join(err, torn)
		})
		if err != nil {
			return fmt.Errorf("destination: %w", err)
		}
	}
	tell("deleted", nil)
	return nil
}
