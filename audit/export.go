package audit

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/guardroom/guardroom/internal/fault"
)

// maxLine bounds one line of an export; records are far smaller.
const maxLine = 16 << 20

// VerifyExport checks an exported chain, one record as JSON on a line, against itself and against the heads
// that were written down outside. An export says nothing about where it should
// end, so only a head outside shows that its tail is missing. A line that is no
// record is an error that names it.
func VerifyExport(r io.Reader, heads []Head) (Report, error) {
	v := NewVerifier(1, "", heads)
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 1<<16), maxLine)
	var last Head
	for n := 1; lines.Scan(); n++ {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		record, err := parse(lines.Bytes())
		if err != nil {
			return v.Report(last), fault.Wrap(fault.Corrupt, err, fmt.Sprintf("line %d of the audit export is no audit record", n),
				"the lines before it were read", "compare with another copy of the export")
		}
		v.Add(record)
		last = v.report.Last
	}
	if err := lines.Err(); err != nil {
		return v.Report(last), fmt.Errorf("read the audit export behind record %d: %w", last.Seq, err)
	}
	return v.Report(last), nil
}

// parse reads one line strictly: a member that Record does not have could
// otherwise carry text that no hash covers.
func parse(line []byte) (Record, error) {
	var r Record
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		return r, err
	}
	if dec.More() {
		return r, errors.New("something follows the record")
	}
	if r.Seq < 1 || r.Hash == "" {
		return r, errors.New("it has no number or no hash")
	}
	return r, nil
}
