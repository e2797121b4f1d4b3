package compress

const (
	// sampleEvery: the first block and each that many later are compressed in
	// both ways. With 32 that adds a few percent to the work of the others.
	sampleEvery = 32

	// entropyWorthDivisor: without an entropy code blocks may become larger by
	// 1/10 (10%). Measured on blocks of 8 KiB, a table's values of 100 bytes:
	//
	//	                      with code        without
	//	half random           60%, 14.6 µs     64%,  4.3 µs to decode
	//	program text          69%, 16.0 µs     85%,  4.2 µs
	//	JSON                  43%, 15.4 µs     56%,  6.9 µs
	//
	// Text and its like keep the code by a wide margin.
	entropyWorthDivisor = 10
)

// Stream compresses the blocks of one file. The zero value is ready. It
// belongs to one goroutine.
//
// The literals that are left when matches are taken out can be Huffman-coded.
// Where they are random, as hashes, ciphertext or packed numbers are, that saves
// little, yet decoding them dominates the cost of reading a block. Neighbours
// in a file are alike, so a few blocks tell about the others.
type Stream struct {
	blocks      uint // compressed so far, modulo its range
	full, light int  // stored bytes of the samples; older ones count less
	how         effort
	trial       []byte
}

// Compress is [Codec.Compress] for the next block of the file. How it is
// compressed makes no difference to whoever reads it.
func (s *Stream) Compress(dst, src []byte, kind Kind) ([]byte, Kind) {
	if kind != Zstd {
		return compressAs(dst, src, kind, effortFull)
	}
	sample := s.blocks%sampleEvery == 0
	s.blocks++
	if !sample {
		return compressAs(dst, src, kind, s.how)
	}
	start := len(dst)
	dst, full := compressAs(dst, src, kind, effortFull)
	var light Kind
	s.trial, light = compressAs(s.trial[:0], src, kind, effortLight)
	s.full = s.full/2 + len(dst) - start
	s.light = s.light/2 + len(s.trial)
	s.how = effortFull
	if s.light <= s.full+s.full/entropyWorthDivisor {
		s.how = effortLight
		return append(dst[:start], s.trial...), light
	}
	return dst, full
}
