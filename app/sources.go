package app

import (
	"context"
	"slices"

	"github.com/guardroom/guardroom/cloud"
	"github.com/guardroom/guardroom/config"
	"github.com/guardroom/guardroom/internal/fault"
	"github.com/guardroom/guardroom/source"
	"github.com/guardroom/guardroom/source/file"
	"github.com/guardroom/guardroom/source/guardduty"
	"github.com/guardroom/guardroom/source/httpin"
	"github.com/guardroom/guardroom/source/sqs"
	"github.com/guardroom/guardroom/store"
)

// Entrances builds the configured ways in. It reads configuration and
// credentials of AWS where a source needs them, and calls nothing.
func (a *App) Entrances(ctx context.Context) (Entrances, error) {
	var in Entrances
	add := func(s source.Source, err error, name string) error {
		if err != nil {
			return fault.Wrap(fault.CodeOf(err), err, "build the source "+name, "nothing was started", fault.Of(err).Hint)
		}
		in.Sources = append(in.Sources, s)
		return nil
	}
	for _, s := range a.cfg.Sources.SQS {
		client, err := a.cloud.SQS(ctx, orElse(s.Region, cloud.QueueRegion(s.QueueURL)))
		if err := add(sqs.New(s, client, a, sqs.Deps{Fetcher: a.fetcher(), Looked: a.db.Looked, Now: a.now, Log: a.log, TimeScale: a.cfg.Worker.TimeScale}), err, "sqs:"+s.Name); err != nil {
			return in, err
		}
	}
	for _, s := range a.cfg.Sources.GuardDuty {
		if err := add(guardduty.New(s, a.cfg.Accounts, a.cloud, a, a.db.DB, guardduty.Deps{Now: a.now, Log: a.log, TimeScale: a.cfg.Worker.TimeScale}), nil, "guardduty:"+s.Name); err != nil {
			return in, err
		}
	}
	for _, s := range a.cfg.Sources.S3 {
		client, err := a.cloud.S3(ctx, s.Region)
		if err != nil {
			return in, add(nil, err, "s3:"+s.Name)
		}
		p, err := file.NewPoller(s, client, a, a.db.DB, file.Deps{Looked: a.db.Looked, Now: a.now, Log: a.log, TimeScale: a.cfg.Worker.TimeScale})
		if err := add(p, err, "s3:"+s.Name); err != nil {
			return in, err
		}
	}
	if h := a.cfg.Sources.HTTP; h.Enabled() {
		if a.cfg.Listen.Address == "" {
			return in, fault.New(fault.Usage, "sources.http is configured and listen.address is not", "set listen.address, for example 127.0.0.1:8080")
		}
		in.Intake = httpin.New(h, a, httpin.Deps{Fetcher: a.fetcher(), Now: a.now, Log: a.log})
	}
	return in, nil
}

// fetcher reads S3 objects that messages point to, with guardroom's own
// credentials, from the buckets that are configured for that or read anyway.
func (a *App) fetcher() source.Fetcher {
	buckets := slices.Clone(a.cfg.Sources.FollowBuckets)
	for _, s := range a.cfg.Sources.S3 {
		if bucket, _, err := file.ParseURL(s.URL); err == nil {
			buckets = append(buckets, bucket)
		}
	}
	return file.NewFetcher(s3Of(a.cloud)).Only(buckets)
}

// S3 gives a client for each region, for importing from buckets, as cfg says
// AWS is reached.
func S3(cfg *config.Config) func(region string) file.S3 {
	return s3Of(cloud.New(cfg.AWS, cfg.Accounts, cloud.Deps{}))
}

// s3Of gives clients; one that cannot be built says so at its first call.
func s3Of(c *cloud.Cloud) func(region string) file.S3 {
	return func(region string) file.S3 {
		client, err := c.S3(context.Background(), region)
		if err != nil {
			return file.Broken(err)
		}
		return client
	}
}

// DeliveryMode says in words who delivers what this process accepts.
func (a *App) DeliveryMode() string {
	switch {
	case a.opts.Mode != ModeLambda:
		return "by this process"
	case a.db.Dialect() == store.Postgres:
		return "by a guardroom serve on the same store: this function only accepts"
	}
	return "within the invocation: a vendor's error fails the record, and its repetition may tell twice"
}
