package store

import (
	"context"
	"fmt"
	"strings"
)

// The sizes in which rows are written at once. They are few, so that the
// statements stay prepared, and the largest stays below the limit of parameters
// of both databases.
var batchSizes = [...]int{32, 8, 1}

// rows is how a table's rows are inserted: a statement for each size.
type rows struct {
	width      int // columns
	statements [len(batchSizes)]string
}

// newRows is for the columns that a list with commas names.
func newRows(table, columns string) rows {
	r := rows{width: strings.Count(columns, ",") + 1}
	for i, size := range batchSizes {
		var s strings.Builder
		fmt.Fprintf(&s, "INSERT INTO %s (%s) VALUES", table, columns)
		for n := range size * r.width {
			switch {
			case n == 0:
				s.WriteString(" ($")
			case n%r.width == 0:
				s.WriteString("), ($")
			default:
				s.WriteString(", $")
			}
			fmt.Fprint(&s, n+1)
		}
		s.WriteString(")")
		r.statements[i] = s.String()
	}
	return r
}

// batch gathers rows of a table, so that they are written by few statements: a
// statement costs more than its row.
type batch struct{ args []any }

func (b *batch) add(args ...any) { b.args = append(b.args, args...) }

func (b *batch) flush(ctx context.Context, c q, r rows) error {
	args := b.args
	b.args = nil
	for i, size := range batchSizes {
		for n := size * r.width; len(args) >= n; args = args[n:] {
			if _, err := c.execKnown(ctx, c.db.statement(r.statements[i]), args[:n]); err != nil {
				return err
			}
		}
	}
	return nil
}
