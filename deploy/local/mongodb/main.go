// Speaks MongoDB's protocol over PostgreSQL, until it is asked to stop.
package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/FerretDB/FerretDB/ferretdb"
)

func main() {
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	server, err := ferretdb.New(&ferretdb.Config{
		Listener: ferretdb.ListenerConfig{
			TCP:         os.Getenv("ONTRACK_LISTEN"),
			TLS:         os.Getenv("ONTRACK_LISTEN_TLS"),
			TLSCertFile: os.Getenv("ONTRACK_TLS_CERTIFICATE"),
			TLSKeyFile:  os.Getenv("ONTRACK_TLS_KEY"),
			TLSCAFile:   os.Getenv("ONTRACK_TLS_CLIENT_AUTHORITY"),
		},
		Logger:        log,
		Handler:       "postgresql",
		PostgreSQLURL: os.Getenv("ONTRACK_POSTGRESQL_URL"),
	})
	if err != nil {
		log.Error("FerretDB cannot start", "error", err)
		os.Exit(1)
	}
	stopped, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := server.Run(stopped); err != nil {
		log.Error("FerretDB ended", "error", err)
	}
}
