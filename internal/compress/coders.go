package compress

import (
	"runtime"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// windowBytes bounds how far back a match may reach, and with it the memory of
// an encoder that is given more than 64 KiB at once.
const windowBytes = 1 << 20

// Coders are shared by the whole process, so nothing in them may belong to one
// user: a channel that a test makes inside a bubble of testing/synctest cannot
// be used outside of it. zstd's EncodeAll makes a channel at its first call,
// wherever that is; its stream interface, which ends in the same code, uses
// none. The decoder has one in any case and is made when the program starts.
var (
	encoders = [effortCount]sync.Pool{
		effortFull:  {New: func() any { return newEncoder(effortFull) }},
		effortLight: {New: func() any { return newEncoder(effortLight) }},
	}
	decoder = newDecoder()
)

// effort is how an encoder works. Both make Zstandard frames.
type effort uint8

const (
	effortFull  effort = iota // matches, and an entropy code for the rest
	effortLight               // matches only: twice as fast, and three times as fast to decode
	effortCount
)

// encoder compresses one block at a time, on the caller's goroutine. It takes
// 300 KB; a garbage collection that finds it idle twice frees it.
type encoder struct {
	zstd *zstd.Encoder
	out  []byte
}

// Write implements io.Writer for the stream interface. It cannot fail.
func (e *encoder) Write(b []byte) (int, error) {
	e.out = append(e.out, b...)
	return len(b), nil
}

// encode appends the frame of src to dst. False, which no known input gives,
// means that the encoder refused: the block is then stored as it is.
func encode(dst, src []byte, how effort) ([]byte, bool) {
	e := encoders[how].Get().(*encoder)
	e.out = dst
	e.zstd.ResetContentSize(e, int64(len(src)))
	_, err := e.zstd.Write(src)
	if err == nil {
		err = e.zstd.Close()
	}
	dst, e.out = e.out, nil
	if err != nil {
		return dst, false // the encoder is not used again
	}
	encoders[how].Put(e)
	return dst, true
}

// newEncoder cannot fail: the options are constants.
func newEncoder(how effort) *encoder {
	enc, err := zstd.NewWriter(nil,
		zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithNoEntropyCompression(how == effortLight),
		zstd.WithEncoderConcurrency(1),
		zstd.WithWindowSize(windowBytes),
		zstd.WithLowerEncoderMem(true),
		zstd.WithSingleSegment(true),
		zstd.WithEncoderCRC(false))
	if err != nil {
		panic("cordwood: broken invariant: encoder options: " + err.Error())
	}
	return &encoder{zstd: enc}
}

// newDecoder cannot fail: the options are constants. The decoder holds one
// state for each processor and makes callers wait for one.
func newDecoder() *zstd.Decoder {
	dec, err := zstd.NewReader(nil,
		zstd.WithDecoderConcurrency(runtime.GOMAXPROCS(0)),
		zstd.WithDecoderLowmem(true),
		zstd.WithDecodeAllCapLimit(true))
	if err != nil {
		panic("cordwood: broken invariant: decoder options: " + err.Error())
	}
	return dec
}
