package proxy

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// blockSize is the size of every block that EBS direct reads.
const blockSize = 512 << 10

// pageOfBlocks are the bounds of MaxResults.
const (
	minBlocks = 100
	maxBlocks = 10_000
)

// SetBlocks writes what is on a volume, before snapshots of it are taken; a
// block that is not named is empty. A volume that nobody writes has four blocks
// of its own.
func (p *Proxy) SetBlocks(volumeID string, blocks map[int32][]byte) error {
	image := map[int32][]byte{}
	for i, b := range blocks {
		if len(b) > blockSize || i < 0 {
			return fmt.Errorf("block %d has %d bytes; a block has %d", i, len(b), blockSize)
		}
		full := make([]byte, blockSize)
		copy(full, b)
		image[i] = full
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state.images[volumeID] = image
	return nil
}

// image are the blocks of a snapshot. The caller holds the lock.
func (p *Proxy) image(s *snapshot) map[int32][]byte {
	if image, ok := p.state.images[s.content]; ok {
		return image
	}
	image := map[int32][]byte{}
	last := int32(max(s.size, 1))*(1<<30/blockSize) - 1 //nolint:gosec // GiB of one volume
	for _, i := range []int32{0, 1, 7, last} {
		b := make([]byte, blockSize)
		sum := sha256.Sum256(fmt.Appendf(nil, "%s/%d", s.content, i))
		for at := 0; at < len(b); at += len(sum) {
			copy(b[at:], sum[:])
			binary.LittleEndian.PutUint32(b[at:], uint32(at)) //nolint:gosec // below the block size
		}
		image[i] = b
	}
	p.state.images[s.content] = image
	return image
}

func blockToken(s *snapshot, i int32) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%d", s.id, i))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

var blockPath = regexp.MustCompile(`^/snapshots/([^/]+)/blocks(?:/(\d+))?$`)

// readable is the snapshot of a request, when it is complete and the caller may
// read it.
func (p *Proxy) readable(r *request) (s *snapshot, index string, a answer) {
	m := blockPath.FindStringSubmatch(r.http.URL.Path)
	if m == nil {
		return nil, "", r.refuse(http.StatusBadRequest, "ValidationException", "no such path")
	}
	if s = p.snapshotOf(m[1]); s == nil {
		ask := *r
		ask.service, ask.http = "EC2", r.http.Clone(r.http.Context())
		ask.http.Method, ask.http.URL.Path, ask.http.URL.RawQuery = http.MethodPost, "/", ""
		ask.http.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		ask.http.Header.Set("Authorization", strings.Replace(r.http.Header.Get("Authorization"), "/ebs/aws4_request", "/ec2/aws4_request", 1))
		s, _ = p.mine(&ask, m[1])
	}
	if s == nil || (s.owner != r.account && !p.shared(s, r.account)) {
		return nil, "", r.refuse(http.StatusNotFound, "ResourceNotFoundException", "The snapshot '"+m[1]+"' does not exist.")
	}
	if status, _ := s.stage(p.now()); status != "completed" {
		return nil, "", r.refuse(http.StatusBadRequest, "ValidationException", "The snapshot '"+m[1]+"' is not completed.")
	}
	return s, m[2], answer{}
}

func (p *Proxy) listBlocks(r *request) answer {
	s, _, a := p.readable(r)
	if s == nil {
		return a
	}
	q := r.http.URL.Query()
	size, from := maxBlocks, 0
	if v := q.Get("maxResults"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < minBlocks || n > maxBlocks {
			return r.refuse(http.StatusBadRequest, "ValidationException", "maxResults must be between 100 and 10000")
		}
		size = n
	}
	if v := q.Get("startingBlockIndex"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 0 {
			return r.refuse(http.StatusBadRequest, "ValidationException", "startingBlockIndex is no index")
		}
		from = n
	}
	if v := q.Get("pageToken"); v != "" {
		if _, err := fmt.Sscanf(v, "proxy-%d", &from); err != nil {
			return r.refuse(http.StatusBadRequest, "ValidationException", "the page token is not ours")
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var indexes []int32
	for i := range p.image(s) {
		if int(i) >= from {
			indexes = append(indexes, i)
		}
	}
	slices.Sort(indexes)
	out := map[string]any{"VolumeSize": s.size, "BlockSize": blockSize, "ExpiryTime": float64(p.now().AddDate(0, 0, 7).Unix())}
	if len(indexes) > size {
		out["NextToken"] = fmt.Sprintf("proxy-%d", indexes[size])
		indexes = indexes[:size]
	}
	blocks := []map[string]any{}
	for _, i := range indexes {
		blocks = append(blocks, map[string]any{"BlockIndex": i, "BlockToken": blockToken(s, i)})
	}
	out["Blocks"] = blocks
	return r.json(out)
}

func (p *Proxy) getBlock(r *request) answer {
	s, index, a := p.readable(r)
	if s == nil {
		return a
	}
	n, err := strconv.ParseInt(index, 10, 32)
	if err != nil {
		return r.refuse(http.StatusBadRequest, "ValidationException", "no block index")
	}
	i := int32(n)
	p.mu.Lock()
	b, ok := p.image(s)[i]
	p.mu.Unlock()
	if !ok || r.http.URL.Query().Get("blockToken") != blockToken(s, i) {
		return r.refuse(http.StatusBadRequest, "ValidationException", "The block token is not valid for this block.")
	}
	sum := sha256.Sum256(b)
	return answer{status: http.StatusOK, body: b, header: http.Header{"Content-Type": {"application/octet-stream"}, "X-Amz-Data-Length": {strconv.Itoa(len(b))},
		"X-Amz-Checksum": {base64.StdEncoding.EncodeToString(sum[:])}, "X-Amz-Checksum-Algorithm": {"SHA256"}}}
}
