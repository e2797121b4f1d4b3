/*
Package cordwood is kvbench's adapter of Cordwood: it registers the engine
"cordwood". To link it in, import the package for its effect.

It uses the public API of package db as any program would, with its default
options where package engine's Options do not say something else. How the memory
of the options becomes that of db.Options is in the engine's settings.
*/
package cordwood
