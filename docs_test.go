// This file checks docs/qt.md and docs/asks.md: that every item is in them, and
// that the tests, scripts and names that they name exist.

package mqttcore

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// docsNotYet are the rows that are marked (not yet), by their first cell: what
// nothing shows so far.
var docsNotYet = []string{}

// docsQtNames are the public items of the documentation of Qt MQTT.
var docsQtNames = strings.Fields(`
	PayloadFormatIndicator Unspecified UTF8Encoded
	MessageStatus Unknown Published Acknowledged Received Released Completed
	ReasonCode
	TransportType IODevice AbstractSocket SecureSocket
	ClientState Disconnected Connecting Connected
	ClientError NoError InvalidProtocolVersion IdRejected ServerUnavailable BadUsernameOrPassword
	NotAuthorized TransportInvalid ProtocolViolation UnknownError Mqtt5SpecificError
	ProtocolVersion MQTT_3_1 MQTT_3_1_1 MQTT_5_0
	authenticate authenticationFinished authenticationRequested autoKeepAlive autoKeepAliveChanged
	brokerSessionRestored cleanSession cleanSessionChanged clientId clientIdChanged connectToHost
	connectToHostEncrypted connected connectionProperties disconnectFromHost disconnected error
	errorChanged hostname hostnameChanged keepAlive keepAliveChanged lastWillProperties messageReceived
	messageSent messageStatusChanged password passwordChanged pingResponseReceived port portChanged
	protocolVersion protocolVersionChanged publish requestPing serverConnectionProperties
	setAutoKeepAlive setCleanSession setClientId setConnectionProperties setError setHostname
	setKeepAlive setLastWillProperties setPassword setPort setProtocolVersion setState setTransport
	setUsername setWillMessage setWillQoS setWillRetain setWillTopic state stateChanged subscribe
	transport unsubscribe username usernameChanged willMessage willMessageChanged willQoS
	willQoSChanged willRetain willRetainChanged willTopic willTopicChanged`)

// docsQtReasons are Qt's reason codes, and for which of connect, subscription
// and message its documentation expects them.
var docsQtReasons = []struct {
	qt      string
	ours    string
	code    ReasonCode
	columns string
}{
	{"Success", "ReasonSuccess", ReasonSuccess, "CSM"},
	{"SubscriptionQoSLevel0", "ReasonGrantedQoS0", ReasonGrantedQoS0, "S"},
	{"SubscriptionQoSLevel1", "ReasonGrantedQoS1", ReasonGrantedQoS1, "S"},
	{"SubscriptionQoSLevel2", "ReasonGrantedQoS2", ReasonGrantedQoS2, "S"},
	{"NoMatchingSubscriber", "ReasonNoMatchingSubscribers", ReasonNoMatchingSubscribers, "M"},
	{"NoSubscriptionExisted", "ReasonNoSubscriptionExisted", ReasonNoSubscriptionExisted, ""},
	{"ContinueAuthentication", "ReasonContinueAuthentication", ReasonContinueAuthentication, ""},
	{"ReAuthenticate", "ReasonReAuthenticate", ReasonReAuthenticate, ""},
	{"UnspecifiedError", "ReasonUnspecifiedError", ReasonUnspecifiedError, "CSM"},
	{"MalformedPacket", "ReasonMalformedPacket", ReasonMalformedPacket, "C"},
	{"ProtocolError", "ReasonProtocolError", ReasonProtocolError, "C"},
	{"ImplementationSpecificError", "ReasonImplementationSpecificError", ReasonImplementationSpecificError, "CSM"},
	{"UnsupportedProtocolVersion", "ReasonUnsupportedProtocolVersion", ReasonUnsupportedProtocolVersion, "C"},
	{"InvalidClientId", "ReasonClientIdentifierNotValid", ReasonClientIdentifierNotValid, "C"},
	{"InvalidUserNameOrPassword", "ReasonBadUserNameOrPassword", ReasonBadUserNameOrPassword, "C"},
	{"NotAuthorized", "ReasonNotAuthorized", ReasonNotAuthorized, "CSM"},
	{"ServerNotAvailable", "ReasonServerUnavailable", ReasonServerUnavailable, "C"},
	{"ServerBusy", "ReasonServerBusy", ReasonServerBusy, "C"},
	{"ClientBanned", "ReasonBanned", ReasonBanned, "C"},
	{"InvalidAuthenticationMethod", "ReasonBadAuthenticationMethod", ReasonBadAuthenticationMethod, "C"},
	{"InvalidTopicFilter", "ReasonTopicFilterInvalid", ReasonTopicFilterInvalid, "S"},
	{"InvalidTopicName", "ReasonTopicNameInvalid", ReasonTopicNameInvalid, "CM"},
	{"MessageIdInUse", "ReasonPacketIdentifierInUse", ReasonPacketIdentifierInUse, "SM"},
	{"MessageIdNotFound", "ReasonPacketIdentifierNotFound", ReasonPacketIdentifierNotFound, "M"},
	{"PacketTooLarge", "ReasonPacketTooLarge", ReasonPacketTooLarge, "C"},
	{"QuotaExceeded", "ReasonQuotaExceeded", ReasonQuotaExceeded, "CSM"},
	{"InvalidPayloadFormat", "ReasonPayloadFormatInvalid", ReasonPayloadFormatInvalid, "CM"},
	{"RetainNotSupported", "ReasonRetainNotSupported", ReasonRetainNotSupported, "C"},
	{"QoSNotSupported", "ReasonQoSNotSupported", ReasonQoSNotSupported, "C"},
	{"UseAnotherServer", "ReasonUseAnotherServer", ReasonUseAnotherServer, "C"},
	{"ServerMoved", "ReasonServerMoved", ReasonServerMoved, "C"},
	{"SharedSubscriptionsNotSupported", "ReasonSharedSubscriptionsNotSupported", ReasonSharedSubscriptionsNotSupported, "S"},
	{"ExceededConnectionRate", "ReasonConnectionRateExceeded", ReasonConnectionRateExceeded, "C"},
	{"SubscriptionIdsNotSupported", "ReasonSubscriptionIdentifiersNotSupported", ReasonSubscriptionIdentifiersNotSupported, "S"},
	{"WildCardSubscriptionsNotSupported", "ReasonWildcardSubscriptionsNotSupported", ReasonWildcardSubscriptionsNotSupported, "S"},
}

// docsRow is a row of a table in a document.
type docsRow struct {
	section string
	cells   []string
}

// readDocsRows reads the tables of a document, without their heads.
func readDocsRows(t *testing.T, file string) (rows []docsRow, text string) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	section, body := "", false
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		if h, ok := strings.CutPrefix(line, "## "); ok {
			section = h
		}
		cells := strings.Split(strings.Trim(line, "|"), " | ")
		switch {
		case !strings.HasPrefix(line, "|"):
			body = false
		case strings.HasPrefix(line, "|---"):
			body = true
		case body:
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			rows = append(rows, docsRow{section, cells})
		}
	}
	return rows, string(b)
}

var docsCode = regexp.MustCompile("`([^`]+)`")

// codeIn is what stands in backquotes.
func codeIn(cell string) (all []string) {
	for _, m := range docsCode.FindAllStringSubmatch(cell, -1) {
		all = append(all, m[1])
	}
	return all
}

// goFiles parses the files of the module, and of those within it, whose path
// pick wants.
func goFiles(t *testing.T, pick func(path string) bool) (files []*ast.File) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != "." && strings.HasPrefix(d.Name(), "."):
			return fs.SkipDir
		case d.IsDir() || filepath.Ext(path) != ".go" || !pick(path):
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err == nil {
			files = append(files, f)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// docsNames are the names that documents may use of this package: Name,
// Type.Method, Type.Field.
func docsNames(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	for _, f := range goFiles(t, func(path string) bool {
		return filepath.Dir(path) == "." && !strings.HasSuffix(path, "_test.go")
	}) {
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				name := d.Name.Name
				if d.Recv != nil {
					r := d.Recv.List[0].Type
					if star, ok := r.(*ast.StarExpr); ok {
						r = star.X
					}
					name = fmt.Sprint(r) + "." + name
				}
				names[name] = true
			case *ast.GenDecl:
				for _, s := range d.Specs {
					switch s := s.(type) {
					case *ast.ValueSpec:
						for _, n := range s.Names {
							names[n.Name] = true
						}
					case *ast.TypeSpec:
						names[s.Name.Name] = true
						if st, ok := s.Type.(*ast.StructType); ok {
							for _, field := range st.Fields.List {
								for _, n := range field.Names {
									names[s.Name.Name+"."+n.Name] = true
								}
							}
						}
					}
				}
			}
		}
	}
	return names
}

// docsShown checks the last cell of each row: something shows it, and exists.
// It returns what the rows name.
func docsShown(t *testing.T, rows []docsRow) (named []string) {
	t.Helper()
	tests := map[string]bool{}
	for _, f := range goFiles(t, func(path string) bool { return strings.HasSuffix(path, "_test.go") }) {
		for _, d := range f.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && docsTest.MatchString(f.Name.Name) {
				tests[f.Name.Name] = true
			}
		}
	}
	for _, d := range [][]namedTest{qtDefects, qtItems, asks} {
		for _, n := range d {
			tests[n.in+"/"+n.name] = true
		}
	}
	scripts, err := filepath.Glob("testdata/script/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range scripts {
		tests[strings.TrimSuffix(filepath.Base(s), ".txt")] = true
	}
	for _, r := range rows {
		last := r.cells[len(r.cells)-1]
		refs, open := codeIn(last), strings.Contains(last, "(not yet)")
		if open != slices.Contains(docsNotYet, r.cells[0]) {
			t.Errorf("%s: the mark (not yet) and the list docsNotYet differ", r.cells[0])
		}
		if len(refs) == 0 && !open {
			t.Errorf("%s: nothing shows it", r.cells[0])
		}
		for _, ref := range refs {
			named = append(named, ref)
			if !tests[ref] {
				t.Errorf("%s: there is no %s", r.cells[0], ref)
			}
		}
	}
	return named
}

var (
	docsTest = regexp.MustCompile(`^(Test|Example|Fuzz)`)
	docsName = regexp.MustCompile(`^[A-Z]\w*(\.\w+)?$`)
)

// docsHere checks the names of this package in a cell.
func docsHere(t *testing.T, names map[string]bool, r docsRow, cell string) {
	t.Helper()
	for _, n := range codeIn(cell) {
		if docsName.MatchString(n) && !names[n] {
			t.Errorf("%s: this package has no %s", r.cells[0], n)
		}
	}
}

func TestDocsQt(t *testing.T) {
	rows, text := readDocsRows(t, "docs/qt.md")
	names := docsNames(t)
	var items, reasons []string
	var shown []docsRow
	width := map[string]int{"QMqtt": 3, "QMqttClient": 3, "Reason codes": 6, "Defects": 2}
	for _, r := range rows {
		if len(r.cells) != width[r.section] {
			t.Fatalf("%s: %q has %d cells", r.section, r.cells[0], len(r.cells))
		}
		switch r.section {
		case "QMqtt", "QMqttClient":
			items = append(items, codeIn(r.cells[0])...)
			docsHere(t, names, r, r.cells[1])
			shown = append(shown, r)
		case "Reason codes":
			reasons = append(reasons, "| "+strings.Join(r.cells, " | ")+" |")
		case "Defects":
			shown = append(shown, r)
		}
	}
	slices.Sort(items)
	want := slices.Sorted(slices.Values(docsQtNames))
	if diff := cmp.Diff(want, items); diff != "" {
		t.Errorf("Qt's items, each once (-want +got)\n%s", diff)
	}
	named := docsShown(t, shown)
	for _, d := range slices.Concat(qtDefects, qtItems) {
		if !slices.Contains(named, d.in+"/"+d.name) {
			t.Errorf("%s is in no row", d.name)
		}
	}
	if diff := cmp.Diff(qtReasonRows(), reasons); diff != "" {
		t.Errorf("reason codes (-want +got)\n%s", diff)
	}
	for _, r := range docsQtReasons {
		if !names[r.ours] {
			t.Errorf("this package has no %s", r.ours)
		}
	}
	if strings.Contains(text, "\t") {
		t.Error("a tab")
	}
}

// qtReasonRows are the rows of the table of reason codes.
func qtReasonRows() (rows []string) {
	for _, r := range docsQtReasons {
		row := fmt.Sprintf("| `%s` | `%s` | 0x%02X", r.qt, r.ours, uint8(r.code))
		for _, column := range "CSM" {
			mark := "—"
			if strings.ContainsRune(r.columns, column) {
				mark = "yes"
			}
			row += " | " + mark
		}
		rows = append(rows, row+" |")
	}
	return rows
}

// Qt's table says what the table of this package says, but for the codes that
// it leaves out, and for 0 under the name of a granted QoS.
func TestDocsQtReasons(t *testing.T) {
	packets := map[rune][]PacketType{
		'C': {TypeConnAck},
		'S': {TypeSubAck},
		'M': {TypePubAck, TypePubRec, TypePubRel, TypePubComp},
	}
	for _, r := range docsQtReasons {
		got := ""
		for _, column := range "CSM" {
			if slices.ContainsFunc(packets[column], func(p PacketType) bool { return r.code.AllowedIn(p, FromServer) }) {
				got += string(column)
			}
		}
		if got != r.columns && r.qt != "SubscriptionQoSLevel0" {
			t.Errorf("%s: Qt has %q, this package %q", r.qt, r.columns, got)
		}
	}
	if len(docsQtReasons) != 35 {
		t.Errorf("%d codes", len(docsQtReasons))
	}
}

func TestDocsAsks(t *testing.T) {
	rows, _ := readDocsRows(t, "docs/asks.md")
	names := docsNames(t)
	if len(rows) < 35 {
		t.Errorf("only %d rows", len(rows))
	}
	issue := regexp.MustCompile(`^[\w.+/-]+(#\d+| 0\.7\.4)$`)
	for _, r := range rows {
		if len(r.cells) != 4 {
			t.Errorf("%q has %d cells", r.cells[0], len(r.cells))
			continue
		}
		for _, i := range strings.Split(r.cells[1], ", ") {
			if !issue.MatchString(i) {
				t.Errorf("%s: asked at %q", r.cells[0], i)
			}
		}
		docsHere(t, names, r, r.cells[2])
	}
	docsShown(t, rows)
}
