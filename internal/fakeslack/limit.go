package fakeslack

import (
	"math"
	"strconv"
	"time"
)

// bucket lets so many requests through at once and refills with time.
type bucket struct {
	tokens float64
	at     time.Time
}

// over reports how long to wait, in seconds of the vendor, when one more request
// for key is too much; empty when it is not. rate is per second of the vendor.
func (s *Server) over(key string, rate float64, burst int) (retryAfter string) {
	if rate < 0 {
		return ""
	}
	now := s.opts.Now()
	b := s.buckets[key]
	if b == nil {
		b = &bucket{tokens: float64(burst), at: now}
		s.buckets[key] = b
	}
	passed := max(0, now.Sub(b.at).Seconds()) * s.opts.TimeScale
	b.tokens, b.at = min(float64(burst), b.tokens+passed*rate), now
	if b.tokens >= 1 {
		b.tokens--
		return ""
	}
	return strconv.Itoa(int(math.Ceil((1 - b.tokens) / rate)))
}

// overPosts is the limit of messages in one channel.
func (s *Server) overPosts(channel string) string {
	return s.over("post "+channel, s.opts.PostsPerSecond, s.opts.Burst)
}

// overCalls is the limit of every other method.
func (s *Server) overCalls(method string) string {
	return s.over(method, s.opts.CallsPerMinute/60, max(1, int(s.opts.CallsPerMinute)))
}
