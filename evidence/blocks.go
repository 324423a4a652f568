package evidence

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// HashOverImage is what the hash of a snapshot is over.
const HashOverImage = "the volume's image, absent blocks as zeros"

// BlockList is the head of a block manifest: the list of the hashes of all
// blocks of a snapshot, which is kept in parts.
type BlockList struct {
	Schema      int         `json:"schema"`
	Snapshot    string      `json:"snapshot"`
	VolumeBytes int64       `json:"volume_bytes"`
	BlockSize   int         `json:"block_size"`
	Blocks      int64       `json:"blocks"`
	ImageSHA256 string      `json:"image_sha256"`
	Parts       []BlockPart `json:"parts"`
}

// BlockPart is an object that lists blocks in their order, a line each: the
// index, a space, the SHA-256 in hex.
type BlockPart struct {
	Location string `json:"location"`
	Version  string `json:"version,omitempty"`
	SHA256   string `json:"sha256"`
	Bytes    int64  `json:"bytes"`
	Blocks   int64  `json:"blocks"`
}

// Bytes are the canonical bytes, which are stored.
func (l BlockList) Bytes() ([]byte, error) {
	l.Parts = some(l.Parts)
	return Canonical(l)
}

// DecodeBlockList reads the head of a block manifest.
func DecodeBlockList(raw []byte) (BlockList, error) {
	var l BlockList
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&l); err != nil {
		return l, fmt.Errorf("read the block manifest: %w", err)
	}
	if l.Schema != SchemaVersion || l.Snapshot == "" || l.VolumeBytes <= 0 || l.BlockSize <= 0 || len(l.ImageSHA256) != 64 {
		return l, fmt.Errorf("read the block manifest of %q: it lacks what it must say", l.Snapshot)
	}
	return l, nil
}

// Block is a line of a block manifest.
type Block struct {
	Index  int64
	SHA256 string
}

// DecodeBlocks reads the lines of a part, whose blocks must rise and come after a
// given index; -1: any.
func DecodeBlocks(raw []byte, after int64) ([]Block, error) {
	var out []Block
	s := bufio.NewScanner(bytes.NewReader(raw))
	for n := 1; s.Scan(); n++ {
		index, sum, ok := strings.Cut(s.Text(), " ")
		i, err := strconv.ParseInt(index, 10, 64)
		if _, bad := hex.DecodeString(sum); !ok || err != nil || bad != nil || len(sum) != 64 || i <= after {
			return nil, fmt.Errorf("line %d is no block", n)
		}
		after = i
		out = append(out, Block{Index: i, SHA256: sum})
	}
	return out, s.Err()
}
