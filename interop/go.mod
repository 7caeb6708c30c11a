module mqttcore/interop

go 1.25

require (
	github.com/256dpi/gomqtt v0.14.4
	github.com/VolantMQ/vlapi v0.5.6
	github.com/eclipse/paho.golang v0.23.0
	github.com/eclipse/paho.mqtt.golang v1.5.1
	github.com/google/go-cmp v0.7.0
	github.com/mochi-mqtt/server/v2 v2.7.9
	mqttcore v0.0.0-00010101000000-000000000000
)

require (
	github.com/256dpi/mercury v0.2.0 // indirect
	github.com/gorilla/websocket v1.5.3 // indirect
	github.com/rs/xid v1.4.0 // indirect
	gopkg.in/yaml.v3 v3.0.1 // indirect
)

replace mqttcore => ../
