// Telegraf's own agent with the three plugins that a relay of lines needs.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/influxdata/telegraf/agent"
	"github.com/influxdata/telegraf/config"
	"github.com/influxdata/telegraf/metric"
	_ "github.com/influxdata/telegraf/plugins/inputs/socket_listener"
	_ "github.com/influxdata/telegraf/plugins/outputs/graphite"
	_ "github.com/influxdata/telegraf/plugins/parsers/graphite"
)

func run(file string) error {
	settings := config.NewConfig()
	if err := settings.LoadConfig(file); err != nil {
		return err
	}
	// As its own program does before it starts the agent.
	metric.Init()
	ends, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	return agent.NewAgent(settings).Run(ends)
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "the file of the configuration")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
