module ingestry/interop/loggregator

go 1.24

require (
	code.cloudfoundry.org/go-loggregator/v10 v10.2.0
	github.com/cloudfoundry/noaa v2.1.0+incompatible
	github.com/cloudfoundry/sonde-go v0.0.0-20220627221915-ff36de9c3435
	github.com/gogo/protobuf v1.3.2
	github.com/gorilla/websocket v1.5.3
	google.golang.org/protobuf v1.36.12
)

require (
	code.cloudfoundry.org/go-diodes v0.0.0-20180905200951-72629b5276e3 // indirect
	code.cloudfoundry.org/tlsconfig v0.23.0 // indirect
	github.com/josharian/intern v1.0.0 // indirect
	github.com/mailru/easyjson v0.7.7 // indirect
	golang.org/x/net v0.38.0 // indirect
	golang.org/x/sys v0.32.0 // indirect
	golang.org/x/text v0.23.0 // indirect
	google.golang.org/genproto/googleapis/rpc v0.0.0-20250115164207-1a7da9e5054f // indirect
	google.golang.org/grpc v1.71.1 // indirect
)

replace github.com/gogo/protobuf => ./gogo
