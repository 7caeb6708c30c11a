package interop
import ("testing";"mqttcore/interop/brokers";"time";"mqttcore")
func TestDbg(t *testing.T){ eachBroker(t, brokers.Options{}, func(t *testing.T,h host){
 for range 5 { s:=time.Now(); p:=newPeer(t,h,lasting(t,v311)); p.connect(); a:=time.Since(s); p.subscribe("x",2); b:=time.Since(s); p.drop(); c:=time.Since(s); p.faults=faults{toServer:40}; p.connect();d:=time.Since(s);p.disconnect(nil); t.Log(a,b,c,d,time.Since(s)) }
 s:=time.Now(); t.Log(cutOnce(t,h,mqttcore.V311, faults{toServer:50}), time.Since(s))
 t.Fail()
})}
