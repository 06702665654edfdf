-- Who uses this server: Seedbed, for its catalog and to list stores, and PowerSync, to replicate the app's database.
CREATE ROLE seedbed LOGIN PASSWORD 'demo-only';
CREATE ROLE powersync LOGIN REPLICATION PASSWORD 'demo-only';
CREATE DATABASE seedbed OWNER seedbed;
CREATE DATABASE app;
