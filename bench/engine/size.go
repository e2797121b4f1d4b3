package engine

import "strconv"

// Size shows a number of bytes in the largest unit that divides it, such as
// "64 MiB", for the Value of a Setting.
func Size(n int64) string {
	units := []string{" B", " KiB", " MiB", " GiB"}
	i := 0
	for ; i < len(units)-1 && n != 0 && n%1024 == 0; i++ {
		n /= 1024
	}
	return strconv.FormatInt(n, 10) + units[i]
}
