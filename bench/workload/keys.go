package workload

import "math"

// A key is a number in decimal digits, as many as fit but at most 16, so that
// keys sort by number; then, in longer keys, digits from a pool, from a place
// given by the number, so that the rest of a key is neither shared with its
// neighbours nor a run of zeros that compresses to nothing.
//
// The number of the key with index i is 2i; the odd number 2i+1, just above, is
// never stored.
const (
	numberDigitsMax = 16
	fillerPoolBytes = 1 << 16
)

// keysOfDigits is how many keys of that length there may be.
func keysOfDigits(keyBytes int) uint64 {
	return uint64(math.Pow10(min(keyBytes, numberDigitsMax)))/2 - 1
}

func presentNumber(i uint64) uint64 { return 2 * i }

// missingNumber is the number of a key just above that with index i.
func missingNumber(i uint64) uint64 { return 2*i + 1 }

// keys makes and reads keys. Immutable.
type keys struct {
	bytes, digits int
	seed          uint64
	filler        []byte // fillerPoolBytes and the longest filler; nil if keys have none
}

func newKeys(keyBytes int, seed uint64) keys {
	k := keys{bytes: keyBytes, digits: min(keyBytes, numberDigitsMax), seed: seed}
	if rest := keyBytes - k.digits; rest > 0 {
		r := newRandom(seed ^ 0x6b657973)
		k.filler = make([]byte, fillerPoolBytes+rest)
		for i := range k.filler {
			k.filler[i] = byte('0' + r.below(10))
		}
	}
	return k
}

// append appends the key with the given number.
func (k *keys) append(dst []byte, number uint64) []byte {
	var digits [numberDigitsMax]byte
	// In two halves, whose divisions do not wait for each other.
	high, low := uint32(number/1e8), uint32(number%1e8)
	for i := range numberDigitsMax / 2 {
		digits[numberDigitsMax-1-i] = byte('0' + low%10)
		digits[numberDigitsMax/2-1-i] = byte('0' + high%10)
		low, high = low/10, high/10
	}
	dst = append(dst, digits[numberDigitsMax-k.digits:]...)
	return append(dst, k.fillerOf(number)...)
}

func (k *keys) fillerOf(number uint64) []byte {
	if k.filler == nil {
		return nil
	}
	at := mix(number^k.seed) % fillerPoolBytes
	return k.filler[at : at+uint64(k.bytes-k.digits)]
}

// number is the number of a key, or ok=false if it is not one of ours, whole.
func (k *keys) number(key []byte) (number uint64, ok bool) {
	if len(key) != k.bytes {
		return 0, false
	}
	for _, c := range key[:k.digits] {
		if c < '0' || c > '9' {
			return 0, false
		}
		number = number*10 + uint64(c-'0')
	}
	return number, string(key[k.digits:]) == string(k.fillerOf(number))
}

// Keys of the transactional workloads begin with a letter, above all digits, so
// that they sort apart from the keys of the Model.
const (
	accountPrefix = 'a'
	counterPrefix = 'c'
)

// appendApart appends the key of an account or a counter.
func (k *keys) appendApart(dst []byte, prefix byte, number uint64) []byte {
	at := len(dst)
	dst = k.append(dst, number)
	dst[at] = prefix
	return dst
}

// apart tells whether key is one that appendApart makes.
func (k *keys) apart(key []byte) bool {
	return len(key) == k.bytes && (key[0] == accountPrefix || key[0] == counterPrefix)
}
