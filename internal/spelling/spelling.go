// Package spelling guesses which word a person meant. A word and the words that
// would be right come in, the nearest of them goes out, or none when all are far.
// It must never be used to go on by itself: a guess is only told. Read Nearest.
package spelling

import "strings"

// Nearest returns the candidate that word was probably meant to be, or "" when
// every one is further away than a third of the word. Candidates are lower case.
func Nearest(word string, candidates []string) string {
	best, distance := "", 1+len(word)/3
	for _, c := range candidates {
		if d := levenshtein(strings.ToLower(word), c); d <= distance && (best == "" || d < distance) {
			best, distance = c, d
		}
	}
	return best
}

func levenshtein(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			diagonal, row[j] = row[j], min(row[j]+1, row[j-1]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
