package depgraph

// components finds the strongly connected components of a graph of n nodes
// (R. Tarjan, "Depth-first search and linear graph algorithms", 1972), without
// recursion. next returns the i-th successor of v: -1 for one to skip, and false
// after the last. The result is the number of each node's component, and how
// many nodes each has.
func components(n int, next func(v, i int) (w int, ok bool)) (of, sizes []int) {
	type frame struct{ v, i int }
	of = make([]int, n)
	index, low := make([]int, n), make([]int, n) // 0: not visited
	var stack []int
	var path []frame
	visited := 0
	visit := func(v int) {
		visited++
		index[v], low[v], of[v] = visited, visited, -1
		stack = append(stack, v)
		path = append(path, frame{v, 0})
	}
	for root := range n {
		if index[root] == 0 {
			visit(root)
		}
		for len(path) > 0 {
			f := &path[len(path)-1]
			v := f.v
			w, ok := next(v, f.i)
			f.i++
			switch {
			case ok && w < 0:
			case ok && index[w] == 0:
				visit(w)
			case ok:
				if of[w] < 0 { // on the stack
					low[v] = min(low[v], index[w])
				}
			default:
				path = path[:len(path)-1]
				if len(path) > 0 {
					up := path[len(path)-1].v
					low[up] = min(low[up], low[v])
				}
				if low[v] == index[v] {
					size := 0
					for {
						w := stack[len(stack)-1]
						stack = stack[:len(stack)-1]
						of[w] = len(sizes)
						size++
						if w == v {
							break
						}
					}
					sizes = append(sizes, size)
				}
			}
		}
	}
	return of, sizes
}
